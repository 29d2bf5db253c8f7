"""MLflow on SQLite: every step twice, killed in between, moved, and never in the current folder."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from components.adapters.tracking import Tracker, environment, upgrade
from components.core.contracts import Trial
from components.core.errors import ConfigError, IntegrityError, UnavailableError, UnknownVersionError, WorkspaceError
from components.settings import Settings

ROOT = Path(__file__).parents[3]

ENTRY = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Doubling(PythonModel):
    def load_context(self, context):
        self.factor = open(context.artifacts["detector"] + "/factor.json").read()

    def predict(self, context, model_input, params=None):
        return model_input["x"] * float(self.factor)

set_model(Doubling())
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with MLflow's empty database, made once: its migrations take a second."""
    home = tmp_path_factory.mktemp("tracking") / "template"
    home.mkdir()
    Tracker(Settings(home=home))
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "ein Platz"))


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The current folder stays empty whatever MLflow does."""
    here = tmp_path / "current"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    assert list(here.iterdir()) == []


@pytest.fixture
def tracker(home: Path) -> Tracker:
    return Tracker(Settings(home=home))


def model_folder(path: Path, *, factor: float = 2.0) -> Path:
    """The smallest folder that `log_model` takes: it doubles column x."""
    (path / "detector").mkdir(parents=True)
    (path / "code").mkdir()
    (path / "detector" / "factor.json").write_text(json.dumps(factor))
    (path / "entry.py").write_text(ENTRY)
    for name, text in {"requirements.txt": "", "python_env.yaml": "python: 3.11\n", "conda.yaml": "{}\n"}.items():
        (path / name).write_text(text)
    column = [{"type": "double", "name": "x", "required": True}]
    export = {
        "signature": {"inputs": column, "outputs": [{"type": "double", "required": True}]},
        "example": None,
        "code": "code",
        "entry": "entry.py",
        "artifacts": {"detector": "detector"},
    }
    (path / "export.json").write_text(json.dumps(export))
    return path


def start(tracker: Tracker, *, retrain: str = "r1", line: str = "press") -> str:
    return tracker.start_retrain(line, retrain_id=retrain, params={"budget": 8}, tags={"actor": "ada"})


def whole_retrain(tracker: Tracker, work: Path, *, retrain: str = "r1") -> tuple[str, Any, int]:
    run = start(tracker, retrain=retrain)
    ref = tracker.log_model(run, line="press", retrain_id=retrain, model_dir=model_folder(work / retrain))
    return run, ref, tracker.create_version("press", model_id=ref.model_id, run_id=run, retrain_id=retrain)


def rows(home: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        return connection.execute(query).fetchall()


def trial(number: int, **changes: Any) -> Trial:
    fields: dict[str, Any] = {
        "number": number, "params": {"coreset": 0.02, "layers": [1, 2]}, "state": "complete", "value": 0.75,
        "low": 0.5, "high": 1.0, "seconds": 1.5, "proposed_by": "tpe", "why": "prior",
    }  # fmt: skip
    return Trial(**(fields | changes))


# ------------------------------------------------------------------------------------------------ runs


def test_a_retrain_is_started_once_and_resumed(tracker: Tracker) -> None:
    first = start(tracker)
    tracker.finish(first, "FAILED")
    assert start(tracker) == first
    run = tracker._client.get_run(first)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"budget": "8"}
    assert run.data.tags["actor"] == "ada"
    assert start(tracker, retrain="r2") != first


def test_trials_are_nested_and_say_who_proposed_what(tracker: Tracker) -> None:
    parent = start(tracker)
    run_id = tracker.start_trial(parent, number=3, retrain_id="r1")
    assert tracker.start_trial(parent, number=3, retrain_id="r1") == run_id
    assert tracker.start_trial(parent, number=4, retrain_id="r1") != run_id
    tracker.log_trial(run_id, trial(3))
    tracker.log_trial(run_id, trial(3))
    run = tracker._client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"coreset": "0.02", "layers": "[1,2]"}
    assert run.data.metrics == {"objective": 0.75, "objective_low": 0.5, "objective_high": 1.0, "seconds": 1.5}
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert (run.data.tags["proposed_by"], run.data.tags["why"]) == ("tpe", "prior")


def test_a_failed_trial_has_no_objective(tracker: Tracker) -> None:
    run_id = tracker.start_trial(start(tracker), number=0, retrain_id="r1")
    tracker.log_trial(run_id, trial(0, state="failed", value=None, low=None, high=None))
    run = tracker._client.get_run(run_id)
    assert run.info.status == "FAILED"
    assert run.data.metrics == {"seconds": 1.5}


def test_long_values_are_cut_with_their_digest_and_many_are_sent_in_batches(tracker: Tracker) -> None:
    run_id = start(tracker)
    tracker.log_params(run_id, {f"p{number}": number for number in range(230)} | {"long": "x" * 9000})
    tracker.log_metrics(run_id, {f"m{number}": number / 2 for number in range(1700)})
    data = tracker._client.get_run(run_id).data
    assert len(data.params) == 1 + 230 + 1
    assert len(data.metrics) == 1700
    assert data.metrics["m1699"] == 849.5
    assert len(data.params["long"]) <= 6000
    # sha256 of 9,000 x's, by sha256sum
    assert data.params["long"].endswith("sha256:" + __import__("hashlib").sha256(b"x" * 9000).hexdigest())


def test_a_parameter_cannot_change(tracker: Tracker) -> None:
    run_id = start(tracker)
    with pytest.raises(ConfigError, match="budget"):
        tracker.log_params(run_id, {"budget": 9})


def test_folders_and_files_become_artifacts_below_the_root(tracker: Tracker, home: Path, tmp_path: Path) -> None:
    run_id = start(tracker)
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.json").write_text("1")
    for _ in range(2):
        tracker.log_folder(run_id, tmp_path / "maps", "explanations/maps")
        tracker.log_file(run_id, tmp_path / "maps" / "a.json")
    found = home / "artifacts" / "press" / run_id / "artifacts"
    assert sorted(path.relative_to(found).as_posix() for path in found.rglob("*.json")) == [
        "a.json",
        "explanations/maps/a.json",
    ]


def test_finishing_a_retrain_ends_what_still_runs_below_it(tracker: Tracker) -> None:
    parent, other = start(tracker), start(tracker, retrain="r2")
    left = tracker.start_trial(parent, number=0, retrain_id="r1")
    for _ in range(2):
        tracker.finish(parent, "FINISHED")
    status = {run: tracker._client.get_run(run).info.status for run in (parent, left, other)}
    assert status == {parent: "FINISHED", left: "KILLED", other: "RUNNING"}


def test_stale_runs_are_closed_and_live_and_foreign_ones_are_not(tracker: Tracker) -> None:
    assert tracker.close_stale("press", live=()) == 0
    dead, live = start(tracker, retrain="dead"), start(tracker, retrain="live")
    nested = tracker.start_trial(dead, number=0, retrain_id="dead")
    experiment = tracker._client.get_run(dead).info.experiment_id
    foreign = tracker._client.create_run(experiment).info.run_id
    assert tracker.close_stale("press", live={"live"}) == 2
    assert tracker.close_stale("press", live={"live"}) == 0
    status = [tracker._client.get_run(run).info.status for run in (dead, nested, live, foreign)]
    assert status == ["KILLED", "KILLED", "RUNNING", "RUNNING"]


def test_identifiers_with_quotes_are_refused(tracker: Tracker) -> None:
    with pytest.raises(ConfigError, match="without quotes"):
        start(tracker, retrain="x' or 'a' = 'a")


def test_eight_processes_worth_of_threads_lose_nothing(tracker: Tracker) -> None:
    parent = start(tracker)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda n: tracker.start_trial(parent, number=n, retrain_id="r1"), range(24)))
        list(pool.map(lambda n: tracker.log_trial(runs[n], trial(n)), range(24)))
    assert len(set(runs)) == 24
    tracker.finish(parent, "FINISHED")
    assert tracker.close_stale("press", live=()) == 0


# ------------------------------------------------------------------------------------------------ models


def test_a_model_is_logged_once_and_registered_once(tracker: Tracker, home: Path, tmp_path: Path) -> None:
    run, ref, version = whole_retrain(tracker, tmp_path)
    again = tracker.log_model(run, line="press", retrain_id="r1", model_dir=tmp_path / "r1")
    assert again == ref
    assert tracker.create_version("press", model_id=ref.model_id, run_id=run, retrain_id="r1") == version == 1
    assert tracker.has_version("press", 1)
    assert not tracker.has_version("press", 2)
    assert not tracker.has_version("pump", 1)
    assert ref.folder == f"press/models/{ref.model_id}/artifacts"
    assert tracker.local_folder(ref.folder) == home / "artifacts" / ref.folder
    assert set(ref.files) >= {"MLmodel", "entry.py", "detector/factor.json"}
    assert whole_retrain(tracker, tmp_path, retrain="r2")[2] == 2


def test_what_plain_mlflow_leaves_in_a_model_folder_changes_nothing(tracker: Tracker, tmp_path: Path) -> None:
    run, ref, _ = whole_retrain(tracker, tmp_path)
    folder = tracker.local_folder(ref.folder)
    (folder / "registered_model_meta").write_text("model_name: press\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "entry.cpython-311.pyc").write_bytes(b"")
    assert tracker.log_model(run, line="press", retrain_id="r1", model_dir=tmp_path / "r1") == ref


def test_a_model_that_changed_since_is_logged_anew(tracker: Tracker, tmp_path: Path) -> None:
    run, ref, _ = whole_retrain(tracker, tmp_path)
    (tracker.local_folder(ref.folder) / "detector" / "factor.json").write_text("3")
    again = tracker.log_model(run, line="press", retrain_id="r1", model_dir=tmp_path / "r1")
    assert again.model_id != ref.model_id
    assert tracker.create_version("press", model_id=again.model_id, run_id=run, retrain_id="r1") == 2
    assert tracker._client.get_logged_model(ref.model_id).status == "FAILED"


def test_aliases_copy_our_own_records(tracker: Tracker, tmp_path: Path) -> None:
    tracker.sync_aliases("press", {"champion": None})
    with pytest.raises(UnknownVersionError):
        tracker.sync_aliases("press", {"champion": 1})
    for retrain in ("r1", "r2"):
        whole_retrain(tracker, tmp_path, retrain=retrain)
    tracker.sync_aliases("press", {"candidate": 1, "champion": None, "previous": None})
    wanted = {"candidate": None, "champion": 2, "previous": 1}
    for _ in range(2):
        tracker.sync_aliases("press", wanted)
    found = tracker._client.get_registered_model("press").aliases
    assert {alias: int(version) for alias, version in found.items()} == {"champion": 2, "previous": 1}
    with pytest.raises(UnknownVersionError):
        tracker.sync_aliases("press", {"champion": 9})


@pytest.mark.parametrize("folder", ["", "/etc", "press/../../x", ".."])
def test_a_folder_outside_of_the_root_is_refused(tracker: Tracker, folder: str) -> None:
    with pytest.raises(IntegrityError, match="leads out"):
        tracker.local_folder(folder)


def test_a_missing_folder_is_named(tracker: Tracker) -> None:
    with pytest.raises(UnavailableError, match="press/models/m-1"):
        tracker.local_folder("press/models/m-1")


# ------------------------------------------------------------------------------------------------ crashes

RETRAIN = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from flows.runtime import garbage
    garbage.look_rarely()
    import mlflow, mlflow.pyfunc
    from components.adapters.tracking import Tracker
    from components.settings import Settings

    def retrain(home, model, stop):
        tracker = Tracker(Settings(home=home))
        done, act = 0, tracker._do
        def counted(call, *args, **kwargs):
            nonlocal done
            result = act(call, *args, **kwargs)
            done += 1
            if done == stop:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        tracker._do = counted
        run = tracker.start_retrain("press", retrain_id="r1", params={"a": 1}, tags={})
        tracker.start_trial(run, number=0, retrain_id="r1")
        ref = tracker.log_model(run, line="press", retrain_id="r1", model_dir=model)
        version = tracker.create_version("press", model_id=ref.model_id, run_id=run, retrain_id="r1")
        tracker.sync_aliases("press", {"candidate": version})
        tracker.finish(run, "FINISHED")
        garbage.look_no_more()
""")

KILLING = textwrap.dedent("""
    def forked(*args):
        if child := os.fork():
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        retrain(*args)
        os._exit(0)

    # MLflow is imported and warm once; each child opens its own copy of the workspace.
    retrain(Path(sys.argv[1], "0", "home"), Path(sys.argv[1], "0", "model"), 0)
    stop, ended = 1, -signal.SIGKILL
    while ended:
        args = Path(sys.argv[1], str(stop), "home"), Path(sys.argv[1], str(stop), "model")
        ended = forked(*args, stop)
        assert forked(*args, 0) == 0, stop
        print(stop, ended)
        stop += 1
""")


@pytest.mark.slow
def test_killed_after_any_call_and_repeated_there_is_one_of_each(template: Path, tmp_path: Path) -> None:
    """SIGKILL after the n-th request to MLflow, for every n until there are no more, then once more without."""
    for stop in range(33):
        shutil.copytree(template, tmp_path / "kills" / str(stop) / "home")
        model_folder(tmp_path / "kills" / str(stop) / "model")
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RETRAIN + KILLING, str(tmp_path / "kills")]
    answer = subprocess.run(command, env=where, capture_output=True, text=True, check=True)
    ends = [tuple(map(int, line.split())) for line in answer.stdout.splitlines()]
    assert len(ends) > 15
    assert [code for _, code in ends[:-1]] == [-signal.SIGKILL] * (len(ends) - 1)
    for stop, _ in ends:
        home = tmp_path / "kills" / str(stop) / "home"
        assert rows(home, "SELECT status, count(*) FROM runs GROUP BY status") == [("FINISHED", 1), ("KILLED", 1)]
        # LoggedModelStatus: 2 is READY, 3 is UPLOAD_FAILED
        assert rows(home, "SELECT count(*) FROM logged_models WHERE status = 2") == [(1,)], stop
        assert rows(home, "SELECT count(*) FROM logged_models WHERE status NOT IN (2, 3)") == [(0,)], stop
        assert rows(home, "SELECT version FROM model_versions") == [(1,)], stop
        assert rows(home, "SELECT alias, version FROM registered_model_aliases") == [("candidate", 1)], stop


def test_two_processes_may_open_a_new_workspace_at_once(tmp_path: Path) -> None:
    home = tmp_path / "new"
    home.mkdir()
    command = [sys.executable, "-c", RETRAIN + "retrain(Path(sys.argv[1]), Path(sys.argv[2]), 0)", str(home)]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([*command, str(model_folder(tmp_path / str(n)))], env=where, stderr=subprocess.PIPE)
        for n in range(2)
    ]
    for process in started:
        assert process.communicate(timeout=120)[1] == b""
    assert [process.returncode for process in started] == [0, 0]
    assert rows(home, "SELECT count(*) FROM experiments WHERE name = 'press'") == [(1,)]


# ------------------------------------------------------------------------------------------------ moving

LOAD = textwrap.dedent("""
    import sys, mlflow, pandas
    mlflow.set_tracking_uri("sqlite:///" + sys.argv[1])
    model = mlflow.pyfunc.load_model("models:/press@champion")
    print(list(model.predict(pandas.DataFrame({"x": [1.0, 2.5]}))))
""")


def test_a_moved_and_a_copied_workspace_loads_its_models(home: Path, tmp_path: Path) -> None:
    tracker = Tracker(Settings(home=home))
    run, ref, version = whole_retrain(tracker, tmp_path)
    tracker.sync_aliases("press", {"champion": version})
    copied = Path(shutil.copytree(home, tmp_path / "Kopie" / "ein Platz"))
    moved = tmp_path / "ein Platz" / "tiefer"  # below its old place, where prefixes overlap
    home.rename(tmp_path / "beiseite")
    moved.parent.mkdir()
    (tmp_path / "beiseite").rename(moved)
    for place in (moved, copied):
        there = Tracker(Settings(home=place))
        assert there.local_folder(ref.folder) == place / "artifacts" / ref.folder
        assert not there.relocate()
        for query in (
            "SELECT artifact_location FROM experiments",
            "SELECT artifact_uri FROM runs",
            "SELECT artifact_location FROM logged_models",
            "SELECT source FROM model_versions",
            "SELECT storage_location FROM model_versions",
        ):
            assert all(location.startswith(f"{place}/artifacts/") for (location,) in rows(place, query)), query
        there.log_metrics(run, {"after": 1.0})
        assert there.start_retrain("press", retrain_id="r9", params={}, tags={})
    shutil.rmtree(copied)
    # Plain MLflow, which knows nothing of us, finds the champion too.
    answer = subprocess.run(
        [sys.executable, "-c", LOAD, str(moved / "mlflow.db")],
        env={**os.environ, **environment(Settings(home=moved))}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.strip() == "[2.0, 5.0]"


@pytest.mark.parametrize("text", ["", '{"format": 1', "[1]", '{"format": 1}'])
def test_a_damaged_record_of_the_place_is_named(home: Path, text: str) -> None:
    Tracker(Settings(home=home))
    (home / ".tracking.json").write_text(text)
    with pytest.raises(UnavailableError, match=r"\.tracking\.json, which tells .*, is damaged\. Restore it"):
        Tracker(Settings(home=home))
    (home / ".tracking.json").unlink()
    assert Tracker(Settings(home=home)).relocate() is False


def test_a_crash_between_rewriting_and_recording_rewrites_once(home: Path, tmp_path: Path) -> None:
    Tracker(Settings(home=home))
    start(Tracker(Settings(home=home)))
    moved = home / "tiefer"
    home.rename(tmp_path / "beiseite")
    moved.parent.mkdir()
    (tmp_path / "beiseite").rename(moved)
    before = (moved / ".tracking.json").read_text()
    Tracker(Settings(home=moved))
    (moved / ".tracking.json").write_text(before)
    assert Tracker(Settings(home=moved)).relocate() is False
    (location,) = rows(moved, "SELECT artifact_location FROM experiments WHERE name = 'press'")
    assert location == (f"{moved}/artifacts/press",)


def test_no_location_anywhere_in_the_database_is_overlooked(home: Path, tmp_path: Path) -> None:
    """Every text of every table of MLflow's schema is looked at, so that a new column of theirs fails here."""
    tracker = Tracker(Settings(home=home))
    run, *_ = whole_retrain(tracker, tmp_path)
    tracker.log_trial(tracker.start_trial(run, number=0, retrain_id="r1"), trial(0))
    moved = home.rename(tmp_path / "anderswo")
    Tracker(Settings(home=moved))
    with closing(sqlite3.connect(moved / "mlflow.db")) as connection:
        dump = "\n".join(connection.iterdump())
    assert str(home) not in dump
    assert str(moved) in dump


def test_another_artifact_root_for_a_known_line_is_refused(home: Path, tmp_path: Path) -> None:
    start(Tracker(Settings(home=home)))
    changed = Settings.model_validate({"home": home, "tracking": {"artifacts": str(tmp_path / "other")}})
    with pytest.raises(ConfigError, match="cannot change"):
        start(Tracker(changed))
    assert not (tmp_path / "other").exists()


def test_an_artifact_root_of_another_kind_is_refused(home: Path) -> None:
    changed = Settings.model_validate({"home": home, "tracking": {"artifacts": "gs://bucket/x"}})
    with pytest.raises(ConfigError, match="s3://"):
        Tracker(changed)


# ------------------------------------------------------------------------------------------------ opening


def test_importing_the_adapter_does_not_import_mlflow() -> None:
    code = "import sys, components.adapters.tracking; print('mlflow' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.strip() == "False"


def test_an_older_schema_is_named_and_upgraded(home: Path) -> None:
    settings = Settings(home=home)
    with closing(sqlite3.connect(home / "mlflow.db")) as connection, connection:
        (newest,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(WorkspaceError, match="linewright upgrade"):
        Tracker(settings)
    with closing(sqlite3.connect(home / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (newest,))
    upgrade(settings)
    Tracker(settings)


def test_a_workspace_is_prepared_and_described(home: Path) -> None:
    tracker = Tracker(Settings(home=home))
    for _ in range(2):
        tracker.prepare()
    assert (home / "artifacts").is_dir()
    assert tracker.describe().endswith(f"at sqlite:///{home}/mlflow.db, artifacts at {home}/artifacts")


def test_pickle_and_telemetry_are_off(home: Path) -> None:
    found = environment(Settings(home=home))
    assert found["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (found["MLFLOW_HTTP_REQUEST_TIMEOUT"], found["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) == ("60", "5")


def test_a_database_that_is_not_one_is_named(tmp_path: Path) -> None:
    home = tmp_path / "broken"
    home.mkdir()
    (home / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(UnavailableError, match=r"mlflow\.db"):
        Tracker(Settings(home=home))
