"""Who holds a lease: a process that others on the same machine can find to be gone."""

import os
import socket
from functools import cache
from pathlib import Path

from components.core.hashing import sha256_bytes

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@cache
def boot_id() -> str:
    """Name of this run of the operating system; "" where the kernel gives none."""
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""


@cache
def _space() -> str:
    # Two containers may share a host name, and even a kernel, and not see each other's processes.
    if not boot_id() or not _PID_NAMESPACE.exists():
        return ""
    return sha256_bytes(f"{boot_id()} {_PID_NAMESPACE.readlink()}".encode())[:16]


def this_process() -> str:
    """`host:pid:start:space` of this process.

    `start` is its start in the kernel's ticks, since numbers of processes are used again; `space` names the set of
    processes that can see each other, "" where that is unknown.
    """
    pid = os.getpid()
    stat = _stat(pid)
    return f"{socket.gethostname()}:{pid}:{stat[1] if stat else 0}:{_space()}"


def is_gone(holder: str) -> bool:
    """Whether `holder` is known to run no more; False whenever that cannot be known from here."""
    parts = holder.rsplit(":", 3)
    if len(parts) != 4 or not _space() or parts[3] != _space() or not (parts[1].isdigit() and parts[2].isdigit()):
        return False
    pid, start = int(parts[1]), int(parts[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    stat = _stat(pid)
    # A zombie runs no more; it only waits for its parent.
    return stat is not None and (stat[0] in "ZX" or stat[1] != start)


def describe(holder: str) -> str:
    """`holder` for people.

    >>> describe("press:4123:77:ab")
    'process 4123 on press'
    """
    parts = holder.rsplit(":", 3)
    return f"process {parts[1]} on {parts[0]}" if len(parts) == 4 else holder


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start time of a process; proc(5), fields 3 and 22. None where the kernel shows none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
