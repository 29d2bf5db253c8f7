"""DVC by its command line: tracking a folder, pushing it, and knowing for certain that the remote holds it.

DVC's word is not enough: a killed push can leave a remote that reads "in sync" with files missing. So every process
gets its own site cache, where DVC keeps what it believes of remotes, and after a push the remote itself is listed.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import yaml

from components.adapters.folders import FolderStore
from components.adapters.objects import S3Store, open_store
from components.core.errors import ConflictError, IntegrityError, SourceError, UnavailableError
from components.settings import Settings

_WAIT = 30.0
_BASE_TIMEOUT = 600
_SLOWEST = 1_000_000  # bytes a second; below that a push is given up
# One process for all commands of a step: starting DVC takes longer than its work on a small line. It ends with us, also
# when we are killed: its standard input is a pipe that only we hold open. Looking for garbage among what the libraries
# leave at their import, again and again and once more at the end, would take a third of its time.
_COMMANDS = """
import gc, json, os, sys, threading
gc.set_threshold(50_000)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
from dvc.cli import main
code = next((code for code in map(main, json.loads(sys.argv[1])) if code), 0)
gc.freeze()
sys.exit(code)
"""
_BUSY = ("unable to acquire lock", "is busy", "being blocked")


class DvcRepository:
    """The DVC side of the data registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.root = settings.data_registry
        self._remote = settings.data_remote

    def init(self) -> None:
        """Make it a DVC repository, once."""
        if not (self.root / ".dvc" / ".gitignore").is_file():
            self._run(["init", "--force"])

    def configure(self) -> None:
        """Write the remote and the rest of the configuration, as settings say now."""
        path = self.root / ".dvc" / "config"
        text = self._config()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

    def _config(self) -> str:
        # Hard links: one copy on disk serves both the cache and the folder.
        lines = ["[core]", "    analytics = false", "    check_update = false", "    remote = store"]
        lines += ["[cache]", '    type = "hardlink,copy"', "['remote \"store\"']"]
        if self._remote.startswith("s3://"):
            objects = self._settings.objects
            lines += [f"    url = {self._remote}", f"    region = {objects.region}"]
            lines += [f"    endpointurl = {objects.endpoint_url}"] if objects.endpoint_url else []
            lines += [f"    connect_timeout = {objects.timeout:g}", f"    read_timeout = {objects.timeout:g}"]
        else:
            folder = self.remote_folder()
            inside = folder.is_relative_to(self._settings.home)
            # Relative where it moves with the workspace; DVC reads it from the folder of this file.
            url = os.path.relpath(folder, self.root / ".dvc") if inside else str(folder)
            lines += [f"    url = {url}"]
        return "\n".join(lines) + "\n"

    def remote_folder(self) -> Path:
        """Folder of a remote that is one; relative names start at the workspace."""
        return self._settings.home / self._remote

    def remote(self) -> "FolderStore | S3Store":
        """The remote as an object store.

        Raises:
            UnavailableError: It cannot be reached.
        """
        if self._remote.startswith("s3://"):
            return open_store(self._remote, self._settings.objects)
        self.remote_folder().mkdir(parents=True, exist_ok=True)
        return open_store(str(self.remote_folder()), self._settings.objects)

    def store(self, folder: str, *, size: int) -> None:
        """Track `folder` (below the root, `size` bytes) as it is now, push it, and see that the remote has it all.

        Raises:
            UnavailableError: DVC or the remote fails.
            IntegrityError: Files are missing at the remote although they were pushed.
        """
        self.remote()
        commands = ["add", folder], ["push", f"{folder}.dvc"]
        self._run(*commands, timeout=_BASE_TIMEOUT + size / _SLOWEST)
        missing = self._missing(folder)
        for key, source in missing.items():
            self.remote().put(key, source)
        if missing and (missing := self._missing(folder)):
            raise IntegrityError(
                f"The remote {self._remote!r} lacks {len(missing)} files after the push, first {next(iter(missing))}.",
                hint="Check its free space and permissions, then run the command again.",
            )

    def objects(self, tracked: str) -> dict[str, str]:
        """Path within a tracked folder → MD5, from the text of its `.dvc` file.

        Raises:
            IntegrityError: The folder's list is neither in the cache nor at the remote.
        """
        name = str(yaml.safe_load(tracked)["outs"][0]["md5"])
        cached = self._cached(name)
        if not cached.is_file():
            cached.parent.mkdir(parents=True, exist_ok=True)
            self.fetch(name, cached)
        try:
            return {str(item["relpath"]): str(item["md5"]) for item in json.loads(cached.read_bytes())}
        except (ValueError, KeyError, TypeError) as error:
            cached.unlink()
            raise IntegrityError(f"The list of files {name} is damaged.", hint="Run the command again.") from error

    def fetch(self, md5: str, target: Path) -> None:
        """Copy one object of the remote to `target`.

        Raises:
            IntegrityError: The remote does not have it.
        """
        try:
            self.remote().fetch(_key(md5), target)
        except SourceError as error:
            raise IntegrityError(f"The remote {self._remote!r} lacks {_key(md5)}.", hint="Restore it.") from error

    def forget(self, md5: str) -> None:
        """Drop a damaged object from the cache, so that DVC does not link it back."""
        self._cached(md5).unlink(missing_ok=True)

    def recover(self) -> None:
        """Wait for a DVC process that is at work, and clear what dead ones left.

        Raises:
            ConflictError: Another DVC process does not finish.
        """
        folder = self.root / ".dvc" / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder / "lock"):
            for left in folder.glob("linewright-*"):
                shutil.rmtree(left, ignore_errors=True)
            rwlock = folder / "rwlock"
            # DVC itself drops entries of dead processes, but not of zombies, which stay where nobody reaps them (in a
            # container without an init); and what it cannot read would block it for good.
            if rwlock.is_file() and not any(_runs(pid) for pid in _holders(rwlock)):
                rwlock.unlink()

    def _missing(self, folder: str) -> dict[str, Path]:
        """Key at the remote → local file, of what is not there in the right size."""
        tracked = (self.root / f"{folder}.dvc").read_text(encoding="utf-8")
        listing = self._cached(str(yaml.safe_load(tracked)["outs"][0]["md5"]))
        wanted = {_key(md5): self.root / folder / path for path, md5 in self.objects(tracked).items()}
        # The list of the folder last: where it exists, DVC takes the files for granted.
        wanted[_key(listing.parent.name + listing.name)] = listing
        there = dict(self.remote().list())
        return {key: path for key, path in wanted.items() if there.get(key) != path.stat().st_size}

    def _cached(self, md5: str) -> Path:
        return self.root / ".dvc" / "cache" / _key(md5)

    def _run(self, *commands: list[str], timeout: float = _BASE_TIMEOUT) -> None:
        what = f"dvc {' and '.join(command[0] for command in commands)}"
        scratch = self.root / ".dvc" / "tmp" / f"linewright-{os.getpid()}"
        scratch.mkdir(parents=True, exist_ok=True)
        alive, held = os.pipe()
        try:
            done = subprocess.run(
                [sys.executable, "-c", _COMMANDS, json.dumps(commands)], stdin=alive, cwd=self.root,
                env=_environment(scratch), capture_output=True, text=True, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{what} took over {timeout:.0f} s.", hint="Check the remote.") from error
        finally:
            os.close(held)
            os.close(alive)
            shutil.rmtree(scratch, ignore_errors=True)
        if done.returncode:
            # Without a terminal DVC draws no bars: what it says on standard error are warnings and errors.
            said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
            said = [line for line in said if line.startswith("ERROR")] or said
            if any(word in line.lower() for line in said for word in _BUSY):
                raise ConflictError(
                    f"Another DVC process uses {str(self.root)!r}.", hint="Wait for it, then try again."
                )
            raise UnavailableError(f"{what}: {said[0]}", hint=f"Remote {self._remote!r}: is it reachable?")


def _key(md5: str) -> str:
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def _environment(scratch: Path) -> Mapping[str, str]:
    own = {f"DVC_{kind}_DIR": str(scratch) for kind in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")}
    own["DVC_NO_ANALYTICS"] = "1"  # the configuration says so, too, but is read only once `init` has reported
    foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "DVC_ROOT")
    return {key: value for key, value in os.environ.items() if key not in foreign} | own


def _holders(rwlock: Path) -> list[int]:
    """Processes that a file of DVC's names as readers and writers; none where it cannot be read."""
    try:
        content = json.loads(rwlock.read_bytes())
        readers = [entry for entries in content.get("read", {}).values() for entry in entries]
        return [int(entry["pid"]) for entry in [*readers, *content.get("write", {}).values()]]
    except (ValueError, AttributeError, KeyError, TypeError):
        return []


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold DVC's own lock, which is the kernel's: one of a dead process is free, whatever the file says."""
    deadline = time.monotonic() + _WAIT
    with path.open("a+b") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ConflictError(
                        f"Another DVC process holds {str(path)!r}.", hint="Wait for it, then try again."
                    ) from error
                time.sleep(0.1)
        yield
