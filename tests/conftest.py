"""How the tests are shared out among processes: a file's tests stay together, and so do those of one workspace."""

from xdist.scheduler import LoadFileScheduling

SPINE = {
    f"tests/flows/test_{name}.py"
    for name in ("bad_input", "cli", "export", "killed_retrain", "loop", "repro", "workspace")
}
"""Files that use the session's one workspace and Prefect server, which take half a minute to make."""


class ByWorkspace(LoadFileScheduling):
    """By file, except that the files of `SPINE` are as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "spine" if file in SPINE else file


def pytest_xdist_make_scheduler(config, log):
    return ByWorkspace(config, log)
