"""Where flows report how far long work is: a command on a terminal shows bars, others and scheduled runs log lines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from components.core.ports import Progress, silent

PAUSE = 10.0
"""Seconds between two lines about work that is under way: what is done sooner says nothing."""

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
def logged() -> Iterator[None]:
    """Inside a flow: what nobody listens to, as in a scheduled run, are lines of the run's log."""
    from prefect import get_run_logger

    if _current.get() is not silent:
        yield
        return
    with listening(in_lines(lambda text: get_run_logger().info(text))):
        yield


def in_lines(
    write: Callable[[str], object], *, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """Reports as lines for `write`: all that is under way, at most one in `pause` seconds of `clock`.

    Work that began within a step of other work is over when that goes on, though it may have ended early.
    """
    began = last = clock()
    under_way: dict[str, str] = {}

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if what in under_way:
            for inner in list(under_way)[list(under_way).index(what) + 1 :]:
                del under_way[inner]
        under_way[what] = f"{what} {done} of {total}" if total else what
        if total and done >= total:
            del under_way[what]
        now = clock()
        if under_way and now - last >= pause:
            last = now
            write(f"after {now - began:.0f} s: {', '.join(under_way.values())}")

    return tell


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
