"""How tests are shared out among processes: those of a file stay together, and so do files that share what is dear."""

import shutil
import tempfile
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

from flows.runtime import garbage

garbage.look_rarely()

SPINE = {
    f"tests/flows/test_{name}.py"
    for name in ("bad_input", "cli", "export", "killed_retrain", "loop", "real_bottle", "repro", "workspace")
}
"""Files that use the session's one workspace and Prefect server, which take half a minute to make."""

ZOO = {
    f"tests/components/models/{name}.py"
    for name in ("test_detector_conformance", "zoo/test_padim", "zoo/test_traced", "zoo/test_trained")
}
"""Files that use anomalib, which takes ten seconds to import."""

LONG = (
    "flows/runtime/test_up",
    "flows/test_bad_input",
    "flows/test_deployments",
    "components/models/test_detector_conformance",
    "flows/runtime/test_server",
    "components/adapters/test_datasets",
    "components/adapters/test_tracking",
    "agents/test_builder_killed",
)
"""Files that take a minute and more, the spine by its first; some wait while others work."""


class ByWorkspace(LoadFileScheduling):
    """By file, except that the files of `SPINE` are as one, and those of `ZOO`."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "spine" if file in SPINE else "zoo" if file in ZOO else file


IN_MEMORY = Path("/dev/shm")
ROOM = 8e9
"""Bytes: several times what the tests write."""


def pytest_configure(config):
    """Workspaces lie in memory where there is room: databases wait for every commit to reach a disk."""
    first = not hasattr(config, "workerinput") and not config.option.basetemp
    if first and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM:
        folder = tempfile.mkdtemp(prefix="linewright-tests-", dir=IN_MEMORY)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.option.basetemp = f"{folder}/all"


def pytest_collection_modifyitems(items):
    """What takes longest first, or one process would still be at it when all others are done."""
    first = [f"tests/{name}.py" for name in LONG]

    def place(item):
        file = item.nodeid.partition("::")[0]
        return first.index(file) if file in first else len(first)

    items.sort(key=place)


def pytest_unconfigure():
    garbage.look_no_more()


def pytest_xdist_make_scheduler(config, log):
    return ByWorkspace(config, log)
