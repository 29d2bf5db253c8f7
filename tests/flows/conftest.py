"""One workspace with two small lines, one Prefect server, and one warm process: all tests of the spine share them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from components.core.contracts import Modality
from components.core.lines import LineConfig, parse_line
from components.settings import Settings
from components.testing import pump_line, texture_line
from flows.jobs.setup import make_workspace
from flows.runtime.locks import FileLock
from flows.runtime.notes import users_lock
from flows.wiring import Linewright
from flows.workspace import write_atomically

ROOT = Path(__file__).parents[2]
QUICK = {
    "params": {"seeds": 1, "epochs": 5, "pretrain_epochs": 3},
    "explain": {"evaluations": 64, "cell_evaluations": 64},
}
"""For time: how good networks and Shapley values are is tested where they are computed, as is a mean of networks."""
PUMP = ["--modality", "table", "--window", "10", "--label", "anomaly", "--timestamp", "time"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed, but for lines that tell how far its work is, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """The JSON object of each line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Commands:
    """`linewright` as a person runs it, each command a process of its own, in an empty current folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "workspace"
        self.cwd = folder / "cwd"
        self.cwd.mkdir()
        (folder / "output").mkdir()
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "LINEWRIGHT_HOME": str(self.home), "COLUMNS": "200"}
        self._log = (folder / "warm.log").open("wb")
        self._warm = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={**self.environment, "PREFECT_HOME": str(self.home / "prefect"), "OMP_NUM_THREADS": "1"},
        )
        assert self._answer() == "ready", self._failure()
        self._count = 0

    def start(self, *args: str, kill: tuple[str, str] | None = None, home: Path | None = None) -> "Running":
        """Begin a command; `kill` as in warm.py."""
        self._count += 1
        out, err = (self.folder / "output" / f"{self._count}.{kind}" for kind in ("out", "err"))
        given = ["--home", str(home), *args] if home else list(args)
        request = {"args": given, "cwd": str(self.cwd), "out": str(out), "err": str(err), "kill": kill}
        return Running(self, self._ask(request), out, err)

    def __call__(self, *args: str, home: Path | None = None) -> Result:
        """Run a command to its end."""
        return self.start(*args, home=home).result()

    def good(self, *args: str, home: Path | None = None) -> Result:
        """Run a command that must succeed without a word on standard error."""
        found = self(*args, home=home)
        assert (found.code, found.err) == (0, ""), f"{args}: {found.out}{found.err}"
        return found

    def add_table(self, name: str, *options: str, source: Path) -> Result:
        """Add a line of tables that is retrained and explained at a fraction of the usual cost."""
        added = self.good("line", "add", name, *options, "--source", str(source))
        with self.open().line_path(name).open("a") as file:
            yaml.safe_dump(QUICK, file)
        return added

    def wait(self, process: int) -> int:
        """Exit code of a started process."""
        return int(self._ask({"wait": process}))

    def open(self) -> Linewright:
        """The workspace, for looking into it."""
        return Linewright(Settings(home=self.home))

    def aliases(self, line: str) -> dict[str, int]:
        """MLflow's aliases of the line."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.open().settings.tracking_uri)
        return {name: int(version) for name, version in client.get_registered_model(line).aliases.items()}

    def close(self) -> None:
        """End the warm process."""
        self._warm.communicate(timeout=20)
        self._log.close()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._warm.stdin is not None
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._warm.stdout is not None
        line = self._warm.stdout.readline()
        assert line, self._failure()
        return json.loads(line)

    def _failure(self) -> str:
        return (self.folder / "warm.log").read_text()


@dataclass(frozen=True, slots=True)
class Running:
    """A command that was started."""

    commands: Commands
    process: int
    out: Path
    err: Path

    def result(self) -> Result:
        """Wait for its end."""
        code = self.commands.wait(self.process)
        said = [line for line in self.err.read_text().splitlines(keepends=True) if not line.startswith("after ")]
        return Result(code, self.out.read_text(), "".join(said))


@pytest.fixture(scope="session")
def linewright(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands in a workspace just made; its Prefect server, once a flow has started it, stays for the session."""
    commands = Commands(tmp_path_factory.mktemp("spine"))
    try:
        commands.good("init")
        with FileLock(users_lock(commands.home / "prefect")) as lock:
            assert lock.wait_shared(timeout=5)
            yield commands
    finally:
        commands.close()


@pytest.fixture(scope="session")
def story(linewright: Commands) -> dict[str, Result]:
    """The loop of the table line `pump` from its first batch to a rollback: step → what the command printed."""
    source = linewright.folder / "sources" / "pump"
    pump_line.write_batch(source, batch=1, seed=0, rows=1500)
    run = linewright.good
    told = {
        "add": linewright.add_table("pump", *PUMP, source=source),
        "ingest": run("ingest", "pump", "--json"),
        "retrain": run("retrain", "pump", "--budget", "2", "--json"),
        "candidates": run("candidates", "--json"),
        "show": run("show", "pump", "1", "--json"),
        "status": run("status", "--json"),
        "approve": run("approve", "pump", "1", "--reason", "first of its line", "--accept-unmeasured"),
        "score": run("score", "pump", str(source), "--json"),
    }
    verdict = max(told["score"].json, key=lambda found: found["score"])["verdict_id"]
    told["explain"] = run("explain", "pump", verdict, "--json")
    told["lineage"] = run("lineage", "pump", verdict, "--json")
    pump_line.write_batch(source, batch=2, seed=0, rows=1500)
    told["ingest 2"] = run("ingest", "pump", "--json")
    told["drift"] = run("drift", "pump", "--json")
    told["retrain 2"] = run("retrain", "pump", "--budget", "1", "--json")
    told["candidates 2"] = run("candidates", "pump", "--json")
    told["show 2"] = run("show", "pump", "2", "--json")
    told["approve plainly"] = linewright("approve", "pump", "2", "--reason", "follows the drift")
    flags = ("--override", "--accept-unmeasured")
    told["approve 2"] = linewright("approve", "pump", "2", "--reason", "follows the drift", *flags)
    told["aliases"] = Result(0, json.dumps(linewright.aliases("pump")), "")
    told["rollback"] = run("rollback", "pump", "--reason", "too many alarms")
    return told


@pytest.fixture(scope="session")
def texture(linewright: Commands) -> Path:
    """The image line `texture`, normal images alone, with a champion; returns a folder with images to score."""
    source = linewright.folder / "sources" / "texture"
    texture_line.write_batch(source, batch=1, seed=0, size=64, train_images=24, test_good=2, test_bad=2)
    text = f"name: texture\nmodality: image\nsource: {source / 'train' / 'good'}\nparams: {{image_size: 64}}\n"
    line = parse_line(text, origin="test")
    write_atomically(linewright.open().line_path("texture"), text)
    assert line.name == "texture"
    linewright.good("ingest", "texture")
    linewright.good("retrain", "texture", "--budget", "1")
    linewright.good("approve", "texture", "1", "--reason", "only one", "--accept-unmeasured")
    return source / "test"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace just made, once: making one takes seconds, most of them for MLflow's tables."""
    home = tmp_path_factory.mktemp("made") / "home"
    make_workspace(home)
    return home


@pytest.fixture
def workspace(made: Path) -> Callable[[Path], Path]:
    """Turns a folder into a workspace that looks just made."""
    return lambda home: Path(shutil.copytree(made, home, dirs_exist_ok=True))


@pytest.fixture
def planned(tmp_path, workspace):
    """Plans of retrains in a new workspace, whose MLflow does nothing: of a line, by an identity that is their key."""
    app = Linewright.open(workspace(tmp_path / "home"))
    tracker = SimpleNamespace(close_stale=lambda *_, **__: 0)
    parts = SimpleNamespace(home=app.home, records=app.records, settings=app.settings, tracker=tracker)

    def plan(line: str, identity: str) -> SimpleNamespace:
        config = LineConfig(name=line, modality=Modality.TABLE, source=str(tmp_path))
        fixed = {"seed": 0, "version": SimpleNamespace(number=1), "actor": "operator", "request": ""}
        return SimpleNamespace(app=parts, line=config, identity=identity, key=identity, **fixed)

    return plan
