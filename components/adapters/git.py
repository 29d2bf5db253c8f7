"""Git by its command line, for the data registry: reading by tag, and commits that no kill can leave half-made."""

import os
import subprocess
import time
from pathlib import Path

from components.core.errors import UnavailableError, WorkspaceError

_TIMEOUT = 120
_STALE = 3.0
# Variables that a surrounding git command sets; they would lead us into its repository.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


class GitError(UnavailableError):
    """A git command failed; callers that know why raise something better."""


class Git:
    """The repository at `root`; every commit and tag is by `name` and `email`, whoever is logged in."""

    def __init__(self, root: Path, *, name: str, email: str) -> None:
        self.root = root
        self._who = {f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")}
        self._who |= {f"GIT_{role}_EMAIL": email for role in ("AUTHOR", "COMMITTER")}

    def run(self, *arguments: str, index: str = "", data: bytes | None = None) -> bytes:
        """What `git ARGUMENTS` prints; `index` is the index file to use instead of the repository's own.

        Raises:
            WorkspaceError: There is no repository at `root`.
            GitError: It failed.
        """
        environment = {key: value for key, value in os.environ.items() if key not in _FOREIGN} | self._who
        environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
        if index:
            environment["GIT_INDEX_FILE"] = index
        if not (self.root / ".git").is_dir() and arguments[0] != "init":
            raise WorkspaceError(f"There is no data registry at {str(self.root)!r}.", hint="Restore it from a backup.")
        command = ["git", "-c", "core.autocrlf=false", "-c", f"core.hooksPath={os.devnull}", *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, input=data, capture_output=True, timeout=_TIMEOUT, check=False
            )
        except FileNotFoundError as error:
            raise UnavailableError("git is not installed.", hint="Install git.") from error
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"git {arguments[0]} hangs.", hint=f"Look at {self.root}.") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or [str(done.returncode)]
            # Advice may follow the fault, several lines of it.
            fault = next((line for line in said if line.startswith("fatal: ")), said[-1])
            raise GitError(f"git {arguments[0]}: {fault}.", hint=f"In {self.root}.")
        return done.stdout

    def text(self, *arguments: str, index: str = "") -> str:
        """As `run`, stripped text."""
        return self.run(*arguments, index=index).decode().strip()

    def blob(self, revision: str, path: str) -> bytes:
        """Content of a file at a revision."""
        return self.run("cat-file", "blob", f"{revision}:{path}")

    def blobs(self, names: list[str]) -> list[bytes]:
        """Contents of many `revision:path` by one process."""
        answer = self.run("cat-file", "--batch", data="".join(f"{name}\n" for name in names).encode())
        found: list[bytes] = []
        place = 0
        for name in names:
            end = answer.index(b"\n", place)
            fields = answer[place:end].split()
            if fields[-1] == b"missing":
                raise GitError(f"git: {name} is missing.", hint=f"In {self.root}.")
            size = int(fields[2])
            found.append(answer[end + 1 : end + 1 + size])
            place = end + 1 + size + 1
        return found

    def tags(self, prefix: str) -> dict[str, str]:
        """Tag below refs/tags/PREFIX → commit."""
        lines = self.text(
            "for-each-ref", "--format=%(refname:strip=2) %(objectname) %(*objectname)", f"refs/tags/{prefix}"
        )
        return {fields[0]: fields[-1] for line in lines.splitlines() if (fields := line.split())}

    def write_commit(self, paths: list[str], *, message: str) -> str:
        """A commit on top of HEAD with the files of `paths` as they are now; no branch moves and no index changes."""
        index = str(self.root / ".git" / "linewright.index")
        Path(index).unlink(missing_ok=True)
        Path(f"{index}.lock").unlink(missing_ok=True)
        self.run("read-tree", "HEAD", index=index)
        self.run("add", "--all", "--", *paths, index=index)
        tree = self.text("write-tree", index=index)
        return self.text("commit-tree", tree, "-p", "HEAD", "-m", message)

    def publish(self, commit: str, *, tag: str, message: str) -> None:
        """Tag the commit, then let the branch follow; the tag is what makes a version exist."""
        self.run("tag", "--no-sign", "-a", tag, "-m", message, commit)
        self.follow(commit)

    def follow(self, commit: str) -> None:
        """Move the branch and the index to `commit`; files stay as they are."""
        self.run("update-ref", "HEAD", commit)
        self.run("read-tree", "HEAD")

    def recover(self) -> None:
        """Undo what a killed process left: lock files, a branch or an index that did not follow the newest tag."""
        folder = self.root / ".git"
        locks = [*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")]
        deadline = time.monotonic() + _STALE
        while (locks := [lock for lock in locks if lock.exists()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        for lock in locks:
            lock.unlink(missing_ok=True)
        for tag in self.text("tag", "--no-merged", "HEAD", "--contains", "HEAD").split():
            self.run("update-ref", "HEAD", self.text("rev-parse", f"{tag}^{{commit}}"))
        self.run("read-tree", "HEAD")
