"""A folder where fetched files wait under their hashes until a dataset version holds them."""

import json
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

from components.core.hashing import sha256_bytes, sha256_file
from components.core.ports import ObjectStore


class Staging:
    """Fetches objects once, several at a time; an interrupted run goes on with what is there.

    Which content a key had at an ETag is remembered in `index.jsonl`, so that an object whose content is known is not
    fetched again.

    Args:
        store: The source.
        folder: Of this line alone; made if missing.
        known: SHA-256 of contents that need no fetching.
    """

    def __init__(self, store: ObjectStore, folder: Path, *, known: Collection[str]) -> None:
        self._store, self._folder, self._known = store, folder, known
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._index_file = folder / "index.jsonl"
        self._index = _read_index(self._index_file)
        self._lock = threading.Lock()

    def get(self, key: str) -> tuple[str, Path | None]:
        """(SHA-256, staged file) of an object; None instead of the file where the content is known.

        Raises:
            SourceError: The object is gone or cannot be read.
            UnavailableError: The store does not answer.
        """
        stamp = self._store.stamp(key)
        sha = stamp.removeprefix("sha256:") if stamp.startswith("sha256:") else self._index.get((key, stamp), "")
        if sha in self._known:
            return sha, None
        staged = self._place(sha)
        if sha and staged.is_file() and sha256_file(staged) == sha:
            return sha, staged
        target = self._incoming / sha256_bytes(key.encode("utf-8", "surrogateescape"))[:32]
        sha = self._store.fetch(key, target)
        staged = self._place(sha)
        staged.parent.mkdir(parents=True, exist_ok=True)
        target.replace(staged)
        if stamp.startswith("etag:"):
            self._remember(key, stamp, sha)
        return sha, None if sha in self._known else staged

    def _place(self, sha: str) -> Path:
        return self._folder / "files" / sha[:2] / sha

    def _remember(self, key: str, stamp: str, sha: str) -> None:
        with self._lock, self._index_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([key, stamp, sha]) + "\n")
            self._index[key, stamp] = sha


def clear_staging(folder: Path) -> None:
    """Remove staged files once a dataset version holds them; what was learned of ETags stays."""
    for name in ("files", "incoming"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _read_index(path: Path) -> dict[tuple[str, str], str]:
    """Key and ETag → SHA-256; a line that a kill cut short is passed over."""
    index: dict[tuple[str, str], str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                key, stamp, sha = json.loads(line)
            except ValueError:
                continue
            index[key, stamp] = sha
    return index
