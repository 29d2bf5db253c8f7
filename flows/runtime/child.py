"""Runs one service of `linewright up` and ends it, with all it started, when told to or when `up` is gone.

`python -m flows.runtime.child NAME`; the commands are in the variable `LINEWRIGHT_UP_PLAN`, as JSON: name → arguments.
The process manager gives each service a process group of its own; it ends the group only while it lives itself.
"""

import json
import os
import signal
import subprocess
import sys
import time

from flows.runtime.processes import end, group_members

PLAN = "LINEWRIGHT_UP_PLAN"

STOP_SECONDS = 20.0
"""A service that was asked to end is killed after this long; on a busy machine cancelling what runs took over ten."""

_POLL = 0.2


def main() -> None:
    """Run the service until it ends, SIGTERM comes, or the parent is another process; then clear the group."""
    parent = os.getppid()
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.append(number))
    arguments = json.loads(os.environ[PLAN])[sys.argv[1]]
    service = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    while service.poll() is None and not stop and os.getppid() == parent:
        time.sleep(_POLL)
    if service.poll() is None:
        service.terminate()
        _wait(service)
    end(group_members(), grace=1.0)
    sys.exit(service.returncode if service.returncode is not None and not stop else 0)


def _wait(service: "subprocess.Popen[bytes]") -> None:
    try:
        service.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


if __name__ == "__main__":
    main()
