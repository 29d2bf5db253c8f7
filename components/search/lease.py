"""Who works on a trial, and until when: a trial whose holder died or fell silent belongs to nobody.

Optuna's own heartbeat covers `Study.optimize` only, not ask-and-tell.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from components.core.contracts import Record
from components.core.errors import ConflictError, UnavailableError


class Lease(Record):
    """`holder` works on a trial and says so before `until` (seconds since 1970, UTC)."""

    holder: str
    until: float

    @classmethod
    def read(cls, attrs: Mapping[str, Any]) -> "Lease | None":
        """The lease in a trial's attributes, None if it carries none."""
        return cls.model_validate(attrs["lease"]) if "lease" in attrs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who asks, and what it knows of others.

    Attributes:
        holder: Names this process among all that could ask.
        is_gone: Whether a holder is known to run no more; False whenever that cannot be known from here.
        ttl: Seconds without a sign of life after which a trial belongs to nobody.
    """

    holder: str
    is_gone: Callable[[str], bool]
    ttl: float = 20.0

    def lease(self) -> Lease:
        """A lease from now on."""
        return Lease(holder=self.holder, until=time.time() + self.ttl)

    def sees_end_of(self, lease: Lease) -> bool:
        """Whether the holder of `lease` is late, or known to be gone."""
        return self.is_gone(lease.holder) or time.time() > lease.until


@contextmanager
def renewing(write: Callable[[], None], *, ttl: float) -> Iterator[None]:
    """Call `write`, which renews a lease, every third of `ttl` seconds while the block runs.

    A renewal that meets a database that does not answer is tried again at the next turn; one that finds the trial
    taken over is the last, and telling the trial's result will be refused.
    """
    done = threading.Event()

    def renew() -> None:
        while not done.wait(ttl / 3):
            try:
                write()
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
    holder = lease.holder if lease else "another process"
    return ConflictError(f"Trial {number} of study {study} is being evaluated by {holder}.", hint="Wait until it ends.")
