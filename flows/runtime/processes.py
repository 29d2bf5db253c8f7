"""Find and end what a `linewright up` started, also after it was killed.

Every process below `up` carries the workspace's path in its environment, which its own children inherit.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

MARK = "LINEWRIGHT_UP_HOME"
"""Variable that every process below `up` inherits."""

_KILL_SECONDS = 3.0


def marked(home: Path) -> list[psutil.Process]:
    """Processes that an `up` of the workspace at `home` started, this one excepted."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _mark(process) == str(home)]


def group_members() -> list[psutil.Process]:
    """The other processes of this process's group."""
    group = os.getpgid(0)
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _group(process) == group]


def end(processes: Sequence[psutil.Process], *, grace: float) -> None:
    """Ask `processes` to end, and kill those that are still there after `grace` seconds."""
    for process in processes:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=_KILL_SECONDS)


def _mark(process: psutil.Process) -> str | None:
    try:
        return str(process.environ().get(MARK))
    except (psutil.Error, OSError):  # another user's, or gone
        return None


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
