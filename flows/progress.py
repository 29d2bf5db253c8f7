"""Where flows report how far long work is: the command line puts a progress bar here, scheduled runs a log line."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from components.core.ports import Progress, silent

_current: ContextVar[Progress] = ContextVar("progress", default=silent)


def report(what: str, done: int, total: int) -> None:
    """Tell whoever listens that `done` of `total` steps of `what` are finished; total 0 means unknown."""
    _current.get()(what, done, total)


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Send reports of this context to `progress`."""
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def steps() -> Iterator[Progress]:
    """Reports of work whose steps may end early, as training does, or with an error: all are finished at its end."""
    begun: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        report(what, done, total)
        begun[what] = max(1, total)
        if total and done >= total:
            del begun[what]

    try:
        yield tell
    finally:
        for what, total in begun.items():
            report(what, total, total)
