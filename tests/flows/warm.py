"""Runs the command line in forks of one process that has imported everything once: a test pays for imports once.

Requests are JSON lines on standard input, answers JSON lines on standard output:
`{"args", "cwd", "out", "err", "kill"}` starts a command and answers its process id, `{"wait": id}` answers its exit
code (negative: the signal). `kill` is `[module:name, "before" | "after"]`: SIGKILL at that call's first time.
"""

import functools
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

from flows.runtime import garbage

LOADED = (
    "flows.cli",
    "flows.training",
    "flows.drift",
    "flows.ingestion",
    "flows.jobs.explain",
    "flows.jobs.export",
    "flows.jobs.lineage",
    "flows.jobs.promote",
    "flows.jobs.score",
    "flows.jobs.setup",
    "components.adapters.datasets",
    "components.adapters.tracking",
    "components.adapters.tracking.registry",
    "components.adapters.tracking.runs",
    "components.drift.evidently_report",
    "components.register.package",
    "dvc.repo",
    "matplotlib.pyplot",
    "onnx",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "prefect.client.orchestration",
    "prefect.flow_engine",
    "prefect.task_engine",
    "timm",
    "torch",
)

CRASHED = 70


def kill_at(place: str, when: str) -> None:
    """Make this process end by SIGKILL before or after the first call of `module:name`."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)

    @functools.wraps(original)
    def deadly(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


def run(request: dict[str, Any]) -> int:
    """The command of `request` in this process, which is a fork; its exit code."""
    for number, key in ((1, "out"), (2, "err")):
        with open(request[key], "wb") as stream:  # noqa: PTH123
            os.dup2(stream.fileno(), number)
    os.chdir(request["cwd"])
    if request["kill"]:
        kill_at(*request["kill"])
    sys.argv = ["linewright", *request["args"]]
    from flows.cli import main

    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def run_and_end(request: dict[str, Any]) -> None:
    """Run the command of `request`, and end this process at once: what the parent has at its exit is not ours."""
    code = CRASHED
    try:
        code = run(request)
    finally:
        if code == CRASHED:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def answer(value: object) -> None:
    """One JSON line on standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """Answer requests until standard input ends."""
    garbage.look_rarely()
    for module in LOADED:
        importlib.import_module(module)
    garbage.look_no_more()  # at what is imported: each look of a fork would copy all of it
    assert threading.active_count() == 1, threading.enumerate()
    answer("ready")
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer(os.waitstatus_to_exitcode(status))
            continue
        child = os.fork()
        if child == 0:
            run_and_end(request)
        answer(child)


if __name__ == "__main__":
    serve()
    os._exit(0)  # the interpreter would look through a million library objects for garbage
