"""MLflow behind a server, on PostgreSQL, and with its artifacts on S3."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from components.adapters.tracking import LoggedModelRef, Tracker, environment
from components.core.contracts import Trial
from components.core.errors import UnavailableError, UnknownVersionError
from components.core.hashing import folder_hashes
from components.settings import Settings

ROOT = Path(__file__).parents[3]
POSTGRES = os.environ.get("LINEWRIGHT_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/postgres")


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The current folder stays empty whatever MLflow does."""
    here = tmp_path / "current"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    assert list(here.iterdir()) == []


def workspace(path: Path, **tracking: Any) -> Settings:
    path.mkdir(exist_ok=True)
    return Settings.model_validate({"home": path, "tracking": tracking})


def package(path: Path) -> Path:
    """A model folder as small as `log_model` takes it."""
    (path / "detector").mkdir(parents=True)
    (path / "detector" / "detector.json").write_text("{}")
    export = {
        "signature": {"inputs": [{"type": "double", "name": "x"}], "outputs": [{"type": "double", "name": "score"}]},
        "example": None, "code": "code", "entry": "entry.py", "artifacts": {"detector": "detector"},
    }  # fmt: skip
    (path / "export.json").write_text(json.dumps(export))
    return path


def whole_loop(settings: Settings, work: Path) -> LoggedModelRef:
    """Every method, twice where that is promised, by two trackers as after a crash."""
    folder = package(work)
    for _ in range(2):
        tracker = Tracker(settings)
        run = tracker.start_retrain("press", retrain_id="r1", params={"budget": 1}, tags={"actor": "ada"})
        nested = tracker.start_trial(run, number=0, retrain_id="r1")
        tracker.log_trial(
            nested,
            Trial(number=0, params={"k": 9}, state="complete", value=0.5, seconds=1.0, proposed_by="default", why=""),
        )
        tracker.log_metrics(run, {"image_auroc": 0.99})
        tracker.log_folder(run, folder / "detector", "explanations")
        ref = tracker.log_model(run, line="press", retrain_id="r1", model_dir=folder)
        version = tracker.create_version("press", model_id=ref.model_id, run_id=run, retrain_id="r1")
        tracker.sync_aliases("press", {"champion": version, "previous": None})
        tracker.finish(run, "FINISHED")
    assert version == 1
    assert folder_hashes(tracker.local_folder(ref.folder)) == ref.files
    with pytest.raises(UnknownVersionError):
        tracker.sync_aliases("press", {"champion": 7})
    stale = tracker.start_retrain("press", retrain_id="r2", params={}, tags={})
    tracker.start_trial(stale, number=0, retrain_id="r2")
    assert tracker.close_stale("press", live={"r1"}) == 2
    assert tracker.close_stale("press", live=()) == 0
    return ref


# ------------------------------------------------------------------------------------------------ HTTP


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(url: str, *, process: "subprocess.Popen[bytes]", seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{url}/health", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer within {seconds} s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real `mlflow server`; its address and the folder of its artifacts."""
    home = tmp_path_factory.mktemp("server")
    Tracker(workspace(home / "tables"))  # makes the tables, which the server takes longer for
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server",
        "--host", "127.0.0.1", "--port", url.rpartition(":")[2],
        "--backend-store-uri", f"sqlite:///{home}/tables/mlflow.db", "--default-artifact-root", f"{home}/artifacts",
        "--workers", "1",
    ]  # fmt: skip
    operators = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / "mlflow" / "server.env").read_text(), re.M))
    where = {**os.environ, **operators, **environment(workspace(home))}
    process = subprocess.Popen(command, cwd=home, env=where, start_new_session=True)
    try:
        wait_for(url, process=process)
        yield url, home
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.server
def test_everything_works_through_a_server(server: tuple[str, Path], tmp_path: Path) -> None:
    url, home = server
    whole_loop(workspace(tmp_path / "home", uri=url, artifacts=str(home / "shared")), tmp_path / "package")
    assert {path.name for path in (home / "shared").iterdir()} == {"press"}
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == []


@pytest.mark.server
def test_a_server_that_dies_is_named_within_its_time(server: tuple[str, Path], tmp_path: Path) -> None:
    """Behind a small relay, so that the server itself lives on for other tests."""
    url, home = server
    port = free_port()
    relay = subprocess.Popen([sys.executable, "-c", RELAY, str(port), url.rpartition(":")[2]])
    settings = workspace(tmp_path / "home", uri=f"http://127.0.0.1:{port}", artifacts=str(home / "other"), timeout=2)
    wait_for(settings.tracking_uri, process=relay)
    tracker = Tracker(settings)
    run = tracker.start_retrain("lathe", retrain_id="r1", params={}, tags={})
    relay.kill()
    relay.wait()
    start = time.monotonic()
    with pytest.raises(UnavailableError, match=rf"127\.0\.0\.1:{port}"):
        tracker.log_metrics(run, {"x": 1.0})
    assert time.monotonic() - start < 15


RELAY = """
import socket, sys, threading
def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client = listener.accept()[0]
    server = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


def test_a_server_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UnavailableError, match=r"http://\*\*\*@127\.0\.0\.1") as refused:
        Tracker(workspace(tmp_path / "home", uri=f"http://ada:secret@127.0.0.1:{free_port()}"))
    assert time.monotonic() - start < 10
    assert "secret" not in str(refused.value)
    assert refused.value.hint


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = workspace(tmp_path / "home", uri=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
        start = time.monotonic()
        with pytest.raises(UnavailableError):
            Tracker(settings)
        assert time.monotonic() - start < 10


# ------------------------------------------------------------------------------------------------ PostgreSQL


@pytest.fixture
def postgres() -> Iterator[str]:
    """URL of an empty database, dropped afterwards."""
    engine = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            pass
    except sqlalchemy.exc.OperationalError as error:
        pytest.skip(f"PostgreSQL does not answer at {engine.url!r}: {str(error).splitlines()[0]}")
    name = f"linewright_mlflow_{uuid.uuid4().hex[:12]}"
    with engine.connect() as connection:
        connection.execute(sqlalchemy.schema.DDL("CREATE DATABASE %(name)s", context={"name": name}))
    yield engine.url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.schema.DDL("DROP DATABASE %(name)s WITH (FORCE)", context={"name": name}))
    engine.dispose()


def test_everything_works_on_postgresql(postgres: str, tmp_path: Path) -> None:
    settings = workspace(tmp_path / "home", uri=postgres)
    whole_loop(settings, tmp_path / "package")
    # Paths in a shared database do not follow a copy of one workspace.
    assert not (tmp_path / "home" / ".tracking.json").exists()
    assert Tracker(settings).relocate() is False


# ------------------------------------------------------------------------------------------------ S3


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Endpoint of an S3-speaking server that holds the empty bucket `models`."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MLFLOW_S3_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")  # put back afterwards, whatever the tracker sets
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="models")
    yield endpoint
    moto.stop()


@pytest.mark.server
def test_artifacts_on_s3_are_fetched_once_and_whole(bucket: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = workspace(home, artifacts="s3://models/plant/").model_copy(
        update={"objects": Settings(home=home).objects.model_copy(update={"endpoint_url": bucket})}
    )
    ref = whole_loop(settings, tmp_path / "package")
    tracker = Tracker(settings)
    (cached,) = (home / "cache" / "models").iterdir()
    assert set(folder_hashes(cached)) == {"MLmodel", "export.json", "detector/detector.json"}
    assert not (home / "artifacts").exists()
    with pytest.raises(UnavailableError, match="no model at s3://models/plant/press/models/m-0"):
        tracker.local_folder("press/models/m-0/artifacts")
    assert [path.name for path in (home / "cache" / "models").iterdir()] == [cached.name]
    kept = folder_hashes(cached)
    shutil.rmtree(home / "cache")
    assert folder_hashes(tracker.local_folder(ref.folder)) == kept == ref.files
    (cached / "MLmodel").write_text("damaged")
    assert tracker.forget(ref.folder)
    assert folder_hashes(tracker.local_folder(ref.folder)) == kept
    assert not tracker.forget("press/models/m-0/artifacts")
