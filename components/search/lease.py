"""Who works on a trial, and until when: a trial whose holder died or fell silent belongs to nobody.

Optuna's own heartbeat covers `Study.optimize` only, not ask-and-tell.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from components.core.contracts import Record
from components.core.errors import ConflictError, UnavailableError


class Holder(Record):
    """A process: `started` tells it from a later one of the same number ("" where the system does not say)."""

    host: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> "Holder":
        """The process that runs this."""
        return cls(host=socket.gethostname(), pid=os.getpid(), started=_started(os.getpid()))

    def is_dead(self) -> bool:
        """Whether this is a process of this machine that no longer runs; of other machines nothing is known."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return _started(self.pid) != self.started


class Lease(Record):
    """`holder` works on a trial and says so before `until` (seconds since 1970, UTC)."""

    holder: Holder = Field(default_factory=Holder.me)
    until: float

    @classmethod
    def lasting(cls, ttl: float) -> "Lease":
        """A lease of this process for `ttl` seconds from now."""
        return cls(until=time.time() + ttl)

    @classmethod
    def read(cls, attrs: Mapping[str, Any]) -> "Lease | None":
        """The lease in a trial's attributes, None if it carries none."""
        return cls.model_validate(attrs["lease"]) if "lease" in attrs else None

    def is_over(self) -> bool:
        """Whether the holder is dead or late."""
        return self.holder.is_dead() or time.time() > self.until


@contextmanager
def renewing(write: Callable[[Lease], None], *, ttl: float) -> Iterator[None]:
    """Call `write` with a fresh lease every third of `ttl` seconds while the block runs.

    A renewal that meets a database that does not answer is tried again at the next turn; one that finds the trial
    taken over is the last, and telling the trial's result will be refused.
    """
    done = threading.Event()

    def renew() -> None:
        while not done.wait(ttl / 3):
            try:
                write(Lease.lasting(ttl))
            except UnavailableError:
                continue
            except ConflictError:
                return

    thread = threading.Thread(target=renew, name="trial-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def lost_trial(study: str, number: int) -> ConflictError:
    """What is raised when a result comes after the lease."""
    return ConflictError(
        f"Trial {number} of study {study} was taken over: its lease had run out.",
        hint="Let the other process finish, or run the search again.",
    )


def busy_trial(study: str, number: int, *, lease: Lease | None) -> ConflictError:
    """What is raised when somebody else works on a trial."""
    holder = f"process {lease.holder.pid} on {lease.holder.host}" if lease else "another process"
    return ConflictError(f"Trial {number} of study {study} is being evaluated by {holder}.", hint="Wait until it ends.")


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot (field 22 of Linux's /proc/PID/stat)."""
    try:
        # The command's name may hold spaces and brackets; the last ")" ends it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
