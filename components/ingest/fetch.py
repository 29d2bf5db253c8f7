"""Several objects fetched at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from components.core.errors import SourceError
from components.core.ports import Progress
from components.ingest.staging import Staging

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One object; `file` is None where its content was known before, `problem` says why it could not be read."""

    key: str
    sha: str = ""
    file: Path | None = None
    problem: str = ""

    def data(self) -> bytes:
        """The staged file's bytes."""
        return self.file.read_bytes() if self.file else b""


def fetch_all(staging: Staging, keys: Sequence[str], *, workers: int, progress: Progress) -> list[Fetched]:
    """Every object of `keys`, in their order; one that cannot be read does not stop the others.

    Raises:
        UnavailableError: The store does not answer.
    """

    def fetch(key: str) -> Fetched:
        try:
            sha, file = staging.get(key)
        except SourceError as error:
            return Fetched(key=key, problem=error.message)
        return Fetched(key=key, sha=sha, file=file)

    return in_parallel(fetch, keys, workers=workers, progress=progress, what="fetching files")


def in_parallel(
    work: Callable[[str], _T], keys: Sequence[str], *, workers: int, progress: Progress, what: str
) -> list[_T]:
    """`work` on every key in threads; the answers in the keys' order. The first fault cancels what has not begun."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, key) for key in keys]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                progress(what, done, len(keys))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
