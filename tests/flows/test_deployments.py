"""Schedules, events and crashes against one running server, as `linewright up` runs it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from components.core.errors import ConfigError
from components.core.lines import parse_line
from components.settings import PrefectSettings, Settings
from flows import deployments
from flows.deployments import READY_FILE, Board, check_crons, read_lines
from flows.runtime.child import PLAN
from flows.runtime.crashes import TAG, line_tag, mark_crashed, retrain_tag
from flows.runtime.environment import prepare
from flows.runtime.events import automation_name, emit_drift
from flows.runtime.notes import find
from flows.runtime.server import host_environment, prefect_api, up_is_running

ROOT = Path(__file__).parents[2]

ASKED = 2.0
"""Seconds between two questions to the server: each takes it and this process a tenth of a second."""

TINY_FLOWS = """
import atexit, time
from pathlib import Path
from flows.runtime import garbage
from prefect import flow

atexit.register(garbage.look_no_more)

def note(home, what):
    with Path(home, "done.txt").open("a") as file:
        file.write(what + "\\n")

@flow(name="ingest")
def ingest_flow(home: str, line: str) -> None:
    note(home, f"ingest {line}")

@flow(name="retrain")
def retrain_flow(home: str, line: str, budget: int | None = None, seed: int | None = None, request: str = "") -> None:
    note(home, f"retrain {line} {request} begins")
    time.sleep(600 if "slow" in request else 0)
    note(home, f"retrain {line} {request} ends")
"""

SERVE = """
import asyncio, sys
from pathlib import Path
from components.settings import Settings
from flows.deployments import serve
from flows.runtime.server import use_api, wait_for_up
settings = Settings(home=Path(sys.argv[1]))
with use_api(settings, url=wait_for_up(settings)):
    flows = {"ingest": "tiny_flows:ingest_flow", "retrain": "tiny_flows:retrain_flow"}
    asyncio.run(serve(settings, flows=flows))
"""


def _line(name, **schedule):
    text = json.dumps({"name": name, "modality": "table", "source": "/nowhere", "schedule": schedule})
    return parse_line(text, origin="test")


@pytest.mark.parametrize("cron", ["61 * * * *", "a b c d e", "* * * * 9"])
def test_an_impossible_cron_is_named(cron):
    with pytest.raises(ConfigError, match=r"press: schedule\.drift"):
        check_crons(_line("press", drift=cron))


def test_lines_are_read_by_name(tmp_path):
    settings = Settings(home=tmp_path)
    with pytest.raises(FileNotFoundError):  # not "no lines": `up` would remove every schedule
        read_lines(settings)
    settings.lines.mkdir()
    assert read_lines(settings) == {}
    (settings.lines / "press.yaml").write_text("name: press\nmodality: table\nsource: /x\n")
    assert list(read_lines(settings)) == ["press"]
    (settings.lines / "other.yaml").write_text("name: press\nmodality: table\nsource: /x\n")
    with pytest.raises(ConfigError):
        read_lines(settings)


def test_lines_are_followed_again_after_their_folder_was_gone_for_a_while(tmp_path, monkeypatch):
    async def told():
        synced.append(board._fingerprint())

    async def watched():
        following = asyncio.create_task(board.follow())
        await asyncio.sleep(0.1)
        (tmp_path / "lines").rename(tmp_path / "elsewhere")
        await asyncio.sleep(0.1)
        (tmp_path / "elsewhere" / "press.yaml").write_text("name: press")
        (tmp_path / "elsewhere").rename(tmp_path / "lines")
        await asyncio.sleep(0.1)
        assert not following.done()
        following.cancel()

    (tmp_path / "lines").mkdir()
    synced, board = [], Board(Settings(home=tmp_path), runner=None)
    monkeypatch.setattr(deployments, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(board, "sync", told)
    asyncio.run(watched())
    assert [[name for name, *_ in seen] for seen in synced] == [["press.yaml"]]


class Plant:
    """A workspace, its server with all services, and the process that serves its deployments."""

    def __init__(self, home):
        self.home = home
        self.settings = Settings(home=home)
        self.settings.lines.mkdir(parents=True)
        (home / "tiny_flows.py").write_text(TINY_FLOWS)
        (home / "serve.py").write_text(SERVE)
        prepare(self.settings)
        self.environment = {
            **host_environment(),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{home}",
            PLAN: json.dumps({"schedules": [sys.executable, str(home / "serve.py"), str(home)]}),
        }
        self.server = self._start("flows.runtime.host", str(self.settings.prefect_home), "up", "0", "60")
        self.worker = None
        self.until(lambda: find(self.settings.prefect_home), seconds=60)

    def _start(self, module, *arguments):
        with (self.home / "output.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def add_line(self, name, **schedule):
        lines = [f"name: {name}", "modality: table", "source: /nowhere", f"schedule: {json.dumps(schedule)}"]
        (self.settings.lines / f"{name}.yaml").write_text("\n".join(lines))

    def start_worker(self):
        self.worker = self._start("flows.runtime.child", "schedules")
        self.until((self.home / "run" / READY_FILE).exists, seconds=60)

    def kill_worker(self):
        """Kill -9 the process that serves, as it runs below its wrapper; wait until its flows are gone too."""
        (serving,) = psutil.Process(self.worker.pid).children()
        flows = serving.children(recursive=True)
        serving.kill()
        self.worker.wait(20)
        psutil.wait_procs(flows, timeout=10)
        assert not any(process.is_running() for process in flows)
        (self.home / "run" / READY_FILE).unlink()

    def close(self):
        for process in (self.worker, self.server):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(30)

    def done(self):
        path = self.home / "done.txt"
        return path.read_text().splitlines() if path.exists() else []

    def runs(self, *tags):
        from prefect.client.orchestration import get_client

        with prefect_api(self.settings), get_client(sync_client=True) as client:
            return [run for run in client.read_flow_runs() if set(tags) <= set(run.tags)]

    def deployments(self):
        from prefect.client.orchestration import get_client

        with prefect_api(self.settings), get_client(sync_client=True) as client:
            return {tuple(sorted(found.tags)): found for found in client.read_deployments()}

    def automations(self):
        from prefect.client.orchestration import get_client

        async def read():
            async with get_client() as client:
                return {found.name: found for found in await client.read_automations()}

        import asyncio

        with prefect_api(self.settings):
            return asyncio.run(read())

    def drifts(self, line, check):
        with prefect_api(self.settings):
            emit_drift(line, check=check, detail="Brightness fell.")

    @staticmethod
    def until(condition, *, seconds, every=0.2):
        """What `condition` says once it is true; `every` so many seconds it is asked."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "too late"
            time.sleep(every)
        return found


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    before = dict(os.environ)
    plant = Plant(tmp_path_factory.mktemp("plant"))
    try:
        plant.add_line("press", ingest="* * * * *")
        plant.start_worker()
        yield plant
    finally:
        plant.close()
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.server
@pytest.mark.slow
class TestRunningPlant:
    def test_each_line_has_a_deployment_for_each_kind(self, plant):
        assert up_is_running(plant.settings)
        found = plant.deployments()
        assert set(found) == {("kind:ingest", "line:press", TAG), ("kind:retrain", "line:press", TAG)}
        ingest = found["kind:ingest", "line:press", TAG]
        assert [(s.schedule.cron, s.schedule.timezone) for s in ingest.schedules] == [("* * * * *", "UTC")]
        assert ingest.parameters == {"home": str(plant.home), "line": "press"}
        assert ingest.global_concurrency_limit.limit == 1
        assert ingest.concurrency_options.collision_strategy.value == "ENQUEUE"
        assert found["kind:retrain", "line:press", TAG].schedules == []

    def test_a_drift_event_becomes_one_retrain(self, plant):
        plant.drifts("press", "check-1")
        plant.drifts("press", "check-1")
        plant.until(lambda: "retrain press check-1 ends" in plant.done(), seconds=40)
        time.sleep(2)
        assert plant.done().count("retrain press check-1 begins") == 1

    def test_lines_that_come_and_go_are_followed(self, plant):
        plant.add_line("lathe")
        plant.until(lambda: len(plant.deployments()) == 4, seconds=20, every=ASKED)
        plant.until(lambda: automation_name("lathe") in plant.automations(), seconds=20, every=ASKED)
        (plant.settings.lines / "lathe.yaml").write_text("name: [")
        time.sleep(6)
        assert len(plant.deployments()) == 4
        (plant.settings.lines / "lathe.yaml").unlink()
        plant.until(lambda: len(plant.deployments()) == 2, seconds=20, every=ASKED)
        assert list(plant.automations()) == [automation_name("press")]

    def test_dead_retrains_are_marked_and_live_ones_are_not(self, plant):
        from prefect import flow
        from prefect.client.orchestration import get_client
        from prefect.states import Running

        @flow
        def forgotten():
            pass

        def begun(client, *tags):
            return client.create_flow_run(forgotten, tags=tags, state=Running()).id

        with prefect_api(plant.settings) as url, get_client(sync_client=True) as client:
            dead = begun(client, TAG, line_tag("press"), retrain_tag("r1"))
            live = begun(client, TAG, line_tag("press"), retrain_tag("r2"))
            other_line = begun(client, TAG, line_tag("lathe"), retrain_tag("r1"))
            untold = begun(client, TAG, line_tag("press"))
            assert mark_crashed(url, line="press", live={"r2"}) == 1
            assert mark_crashed(url, line="press", live={"r2"}) == 0
            states = [client.read_flow_run(run).state.type.value for run in (dead, live, other_line, untold)]
            assert states == ["CRASHED", "RUNNING", "RUNNING", "RUNNING"]
            for run in (live, other_line, untold):
                client.delete_flow_run(run)

    def test_a_killed_run_is_shown_as_crashed_and_does_not_block_the_next(self, plant):
        plant.drifts("press", "slow")
        plant.until(lambda: "retrain press slow begins" in plant.done(), seconds=40)
        plant.kill_worker()
        plant.start_worker()
        retrains = plant.runs("kind:retrain", "line:press")
        assert sorted(run.state.type.value for run in retrains) == ["COMPLETED", "CRASHED"]
        plant.drifts("press", "check-2")
        plant.until(lambda: "retrain press check-2 ends" in plant.done(), seconds=40)
        assert "retrain press slow ends" not in plant.done()

    def test_a_cron_runs_every_minute(self, plant):
        def completed():
            runs = plant.runs("kind:ingest", "line:press")
            return [run for run in runs if run.state.type.value == "COMPLETED" and run.auto_scheduled]

        run = plant.until(completed, seconds=100, every=ASKED)[0]
        assert run.expected_start_time.second == 0
        assert abs((run.start_time - run.expected_start_time).total_seconds()) < 30
        assert "ingest press" in plant.done()

    def test_stopping_the_worker_leaves_no_process(self, plant):
        plant.drifts("press", "slow again")
        plant.until(lambda: "retrain press slow again begins" in plant.done(), seconds=60)
        processes = psutil.Process(plant.worker.pid).children(recursive=True)
        plant.worker.terminate()
        assert plant.worker.wait(30) == 0
        assert not [process for process in processes if process.is_running()]
        states = {run.state.type.value for run in plant.runs("kind:retrain", "line:press")}
        assert "RUNNING" not in states


def test_a_real_server_counts_as_up(tmp_path):
    settings = Settings(home=tmp_path, prefect=PrefectSettings(api_url="https://prefect.example.org/api"))
    assert up_is_running(settings)
    assert not up_is_running(Settings(home=tmp_path))
