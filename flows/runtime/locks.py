"""Locks that the kernel releases when their holder dies, however it dies (`flock`)."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_POLL = 0.02


class FileLock:
    """One open lock file; shared by many holders or exclusive to one.

    Not re-entrant. A process that is forked (not spawned) shares the lock until it ends too.

    Args:
        path: The lock file; made when missing, never deleted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_shared(self) -> bool:
        """Take the lock together with other shared holders, unless one holds it alone."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock alone, unless anybody holds it."""
        return self._try(fcntl.LOCK_EX)

    def wait_shared(self, *, timeout: float) -> bool:
        """`try_shared` for up to `timeout` seconds."""
        return self._wait(fcntl.LOCK_SH, timeout=timeout)

    def wait_exclusive(self, *, timeout: float) -> bool:
        """`try_exclusive` for up to `timeout` seconds."""
        return self._wait(fcntl.LOCK_EX, timeout=timeout)

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> str:
        """What the holder wrote, "" if nothing."""
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        """Replace the file's text, for people and error messages; call it as the exclusive holder."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try(self, how: int) -> bool:
        assert self._descriptor is None, f"{self._path} is held already"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _wait(self, how: int, *, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not self._try(how):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True
