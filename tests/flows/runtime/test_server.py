import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from components.core.errors import ConfigError, UnavailableError
from components.settings import PrefectSettings, Settings, load_settings
from components.testing.databases import empty_database
from flows.runtime import server
from flows.runtime.environment import prepare
from flows.runtime.locks import FileLock
from flows.runtime.notes import Places, users_lock
from flows.runtime.server import prefect_api, start_early, up_is_running

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).parents[3]

COMMAND = """
import json, sys, time
from pathlib import Path
from components.settings import Settings
from flows.runtime import garbage
from flows.runtime.server import prefect_api, start_early
garbage.look_rarely()
settings = Settings(home=Path(sys.argv[1]))
start_early(settings)
from prefect import flow, get_client, task

@task
def add(a: int, b: int) -> int:
    return a + b

@flow(name="tiny", persist_result=True)
def tiny(line: str) -> int:
    return add(len(line), 1)

began = time.monotonic()
with prefect_api(settings) as url:
    waited = time.monotonic() - began
    result = tiny(sys.argv[2])
print(json.dumps({"url": url, "result": result, "waited": waited}))
garbage.look_no_more()
"""

STUCK = """
import sys, time
from pathlib import Path
from components.settings import Settings
from flows.runtime.server import prefect_api
settings = Settings(home=Path(sys.argv[1]))
with prefect_api(settings):
    from prefect import flow, task

    @task
    def wait() -> None:
        print("stuck", flush=True)
        time.sleep(60)

    @flow(name="stuck")
    def stuck() -> None:
        wait()

    stuck()
"""

HOLD = """
import sys, time
from pathlib import Path
from components.settings import Settings
from flows.runtime.server import start_early
start_early(Settings(home=Path(sys.argv[1])))
print("started", flush=True)
time.sleep(60)
"""


def _start(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return json.loads(out)


def _hosts(home):
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "flows.runtime.host" in line and str(home / "prefect") in line and process.status() != "zombie":
            found.append(process)
    return found


def _until(condition, *, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "too late"
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """`prepare` sets variables of the process; other tests must not see them."""
    for name, value in os.environ.items():
        monkeypatch.setenv(name, value)
    before = set(os.environ)
    yield
    for name in set(os.environ) - before:
        del os.environ[name]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace with space")


def test_cold_starts_at_once_share_one_server(home):
    """Several commands of one workspace, the first ever, and a left-over note of a server that is gone."""
    (home / "prefect").mkdir()
    (home / "prefect" / "on-demand.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}')
    commands = [_start(COMMAND, home, "x" * number) for number in range(4)]
    results = [_finish(command) for command in commands]
    assert [result["result"] for result in results] == [1, 2, 3, 4]
    assert len({result["url"] for result in results}) == 1
    assert (home / "prefect" / "prefect.db").is_file()
    assert "Finished in state Completed()" in (home / "prefect" / "flows.log").read_text()


def test_the_server_goes_when_nobody_needs_it(home):
    _until(lambda: not _hosts(home), seconds=15)
    assert not (home / "prefect" / "on-demand.json").exists()


def test_a_server_that_cannot_write_to_its_log_goes_too(tmp_path):
    prepare(Settings(home=tmp_path))
    arguments = [str(tmp_path / "prefect"), "on-demand", "0", "60"]
    with Path("/dev/full").open("wb") as full:
        host = subprocess.Popen([sys.executable, "-m", "flows.runtime.host", *arguments], cwd=ROOT, stderr=full)
    try:
        assert host.wait(60) == 0
        assert FileLock(users_lock(tmp_path / "prefect")).try_exclusive()
    finally:
        host.kill()
        host.wait()


def test_a_full_disk_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_LEAST_SPACE", sys.maxsize)
    settings = Settings(home=tmp_path)
    with pytest.raises(UnavailableError, match=r"The disk of .*/prefect has [\d,]+ kB left"), prefect_api(settings):
        pass
    assert not (tmp_path / "prefect" / "server.log").exists()


def test_a_killed_starter_leaves_no_server(home):
    starter = _start(HOLD, home)
    assert starter.stdout.readline() == "started\n"
    _until(lambda: _hosts(home), seconds=10)
    starter.kill()
    starter.communicate()
    _until(lambda: not _hosts(home), seconds=20)


def test_a_killed_server_is_replaced(home):
    first = _finish(_start(COMMAND, home, "abc"))
    (host,) = _hosts(home)
    host.send_signal(signal.SIGKILL)
    host.wait(10)
    assert (home / "prefect" / "on-demand.json").exists()
    second = _finish(_start(COMMAND, home, "abc"))
    assert second["url"] != first["url"]


def test_runs_and_their_tasks_are_recorded(home):
    settings = Settings(home=home)
    with prefect_api(settings) as url:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            assert str(client.api_url).rstrip("/") == url
            runs = client.read_flow_runs()
            tasks = client.read_task_runs()
    assert len(runs) == len(tasks) >= 4
    assert {run.state.type.value for run in [*runs, *tasks]} == {"COMPLETED"}
    assert not up_is_running(settings)


def test_a_killed_run_is_shown_as_crashed(home):
    """The run of a killed process is closed by the next command; that of a living one is not."""
    command = _start(STUCK, home)
    assert command.stdout.readline() == "stuck\n"
    assert _newest_run(home)[0] == "RUNNING"
    command.kill()
    command.communicate()
    state, tasks = _newest_run(home)
    assert state == "CRASHED"
    assert not tasks & {"RUNNING", "PENDING"}


def _newest_run(home):
    """State of the newest flow run, and those of its tasks."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import FlowRunSort

    with prefect_api(Settings(home=home)), get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
        return run.state.type.value, {task.state.type.value for task in tasks}


def test_the_example_for_a_real_server_deploys(home):
    """`configs/prefect.yaml` as its head says, with Prefect's own command line."""
    from prefect.client.orchestration import get_client

    with prefect_api(Settings(home=home)) as url, get_client(sync_client=True) as client:
        environment = {"PREFECT_API_URL": url, "LINEWRIGHT_CODE": str(ROOT), "LINEWRIGHT_HOME": "/srv/workspace"}
        for command in (
            ["work-pool", "create", "linewright", "--type", "process"],
            ["deploy", "--all", "--prefect-file", "configs/prefect.yaml"],
        ):
            subprocess.run(
                [sys.executable, "-m", "prefect", "--no-prompt", *command],
                cwd=ROOT,
                env={**os.environ, **environment},
                check=True,
                capture_output=True,
            )
        found = client.read_deployments()
    assert {tag for deployment in found for tag in deployment.tags} >= {"kind:ingest", "kind:drift", "kind:retrain"}
    assert [deployment.parameters for deployment in found] == [{"home": "/srv/workspace", "line": "press"}] * 3
    assert {deployment.concurrency_options.collision_strategy.value for deployment in found} == {"ENQUEUE"}
    assert {deployment.work_pool_name for deployment in found} == {"linewright"}


def test_the_started_server_keeps_its_runs_in_postgresql(tmp_path, monkeypatch):
    """The database that the settings name holds the run; no SQLite file is made."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(empty_database("postgresql", folder=tmp_path))
        except UnavailableError as error:
            pytest.skip(str(error))
        asynchronous = url.replace("postgresql+psycopg://", "postgresql+asyncpg://")
        monkeypatch.setenv("LINEWRIGHT_PREFECT__DATABASE_URL", asynchronous)
        assert _finish(_start(COMMAND, tmp_path, "abc"))["result"] == 4
        engine = create_engine(url)
        with engine.connect() as connection:
            runs = connection.execute(text("SELECT name, state_type FROM flow_run")).all()
            flows = connection.execute(text("SELECT name FROM flow")).scalars().all()
        engine.dispose()
        assert ([state for _, state in runs], flows) == (["COMPLETED"], ["tiny"])
        assert not (tmp_path / "prefect" / "prefect.db").exists()
        _until(lambda: not _hosts(tmp_path), seconds=20)


def test_a_database_that_prefect_cannot_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEWRIGHT_PREFECT__DATABASE_URL", "postgresql+psycopg://root:secret@127.0.0.1/prefect")
    with pytest.raises(ConfigError, match="not one that Prefect can use") as caught:
        prepare(load_settings(tmp_path))
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_real_server_must_answer(tmp_path):
    settings = Settings(home=tmp_path, prefect=PrefectSettings(api_url="http://127.0.0.1:9/api"))
    start_early(settings)
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9/api does not answer"), prefect_api(settings):
        pass
    assert not Places.of(tmp_path / "prefect", kind="on-demand").lock.exists()


def test_a_server_that_cannot_start_is_one_clear_error(tmp_path):
    settings = Settings(home=tmp_path)
    (tmp_path / "prefect" / "prefect.db").mkdir(parents=True)
    with pytest.raises(UnavailableError, match=r"unable to open database file") as caught, prefect_api(settings):
        pass
    assert "server.log" in caught.value.hint
    assert "\n" not in str(caught.value)
