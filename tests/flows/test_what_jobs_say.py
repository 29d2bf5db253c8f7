import re
import sqlite3
import subprocess
from contextlib import closing
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import numpy as np
import pandas as pd
import pytest

from components.approve.service import approve
from components.core.contracts import ManifestColumn, Modality, Scores
from components.core.errors import ConfigError, ConflictError, SourceError, UnavailableError
from components.core.lines import LineConfig, TableOptions
from components.explain.pictures import save_image
from components.metrics.thresholds import calibrate
from components.settings import HOME_VARIABLE, Settings
from components.testing.records import a_model
from flows import training
from flows.commands import loop
from flows.data import LineData
from flows.jobs import plan as planning
from flows.jobs.doctor import diagnose
from flows.jobs.drift import _by_age, _constants
from flows.jobs.ingest import ingest
from flows.jobs.promote import add_actor, approve_version, copy_aliases, office
from flows.jobs.registering import provenance
from flows.jobs.retrain import retraining
from flows.jobs.score import ScoreRun, _ImageScorer, find_files
from flows.jobs.setup import make_workspace
from flows.runtime.server import answering
from flows.wiring import Linewright


def test_a_refused_file_is_named_in_one_sentence():
    run = ScoreRun(verdicts=(), refused=("a.csv: It has no rows.", "b.csv: No."), model_version=1, overlays=None)
    with pytest.raises(SourceError, match=re.escape("Not scored: a.csv: It has no rows (and 1 more).")):
        run.raise_if_refused()


def test_windows_left_out_between_splits_are_counted(tmp_path):
    table = pd.DataFrame({"flow": np.random.default_rng(0).normal(size=600)})
    (tmp_path / "source").mkdir()
    table.to_csv(tmp_path / "source" / "a.csv", index=False)
    make_workspace(tmp_path / "home")
    app = Linewright.open(tmp_path / "home")
    options = TableOptions(window=5, stride=1)
    app.add_line(
        LineConfig(name="pump", modality=Modality.TABLE, source=str(tmp_path / "source"), table=options),
    )
    summary = ingest(app, "pump", actor="operator")
    assert summary.purged > 0
    assert summary.added + summary.purged == summary.found == 596


def test_an_image_is_scored_once_for_its_score_and_its_map(tmp_path):
    class Counting:
        seen = 0

        def score(self, batch):
            self.seen += len(batch)
            return Scores(image=np.ones(len(batch)), maps=np.ones((len(batch), 4, 4), np.float32))

        def explain(self, batch):
            return self.score(batch).maps

    for number in range(3):
        save_image(np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8), tmp_path / f"{number}.png")
    app = SimpleNamespace(settings=SimpleNamespace(overlays=tmp_path / "overlays"), home=tmp_path)
    line = LineConfig(name="bottle", modality=Modality.IMAGE, source=str(tmp_path))
    calibration = calibrate(np.linspace(0, 2, 50), rate=0.1, method="split", seed=0)
    detector = Counting()
    scorer = _ImageScorer(app, line, SimpleNamespace(version=1, calibration=calibration), detector)
    run = scorer.score(sorted(tmp_path.glob("*.png")))
    assert (len(run.verdicts), detector.seen) == (3, 3)
    assert all((tmp_path / verdict.overlay).is_file() for verdict in run.verdicts)


def test_of_a_folder_to_score_what_a_source_would_take_for_samples_is_read(tmp_path):
    names = ["test/good/0.png", "test/good/._0.png", "__MACOSX/0.png", "ground_truth/bad/0_mask.png", "masks/a.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(*paths, modality):
        return [path.relative_to(tmp_path).as_posix() for path in find_files(paths, modality=modality)]

    assert found(tmp_path, modality=Modality.IMAGE) == ["test/good/0.png"]
    assert found(tmp_path, modality=Modality.TABLE) == ["masks/a.csv"]
    named = (tmp_path / names[1], tmp_path / "ground_truth" / "bad")
    assert found(*named, modality=Modality.IMAGE) == [names[1], names[3]]


def constants_of(table, *, was, windows=None):
    rows = pd.DataFrame(windows or [(0, len(table))], columns=[ManifestColumn.START, ManifestColumn.END])
    read = lambda _: table.to_csv(index=False).encode()  # noqa: E731
    data = SimpleNamespace(schema=SimpleNamespace(constants=was), read=read)
    return _constants(data, rows.assign(**{ManifestColumn.FILE: "a"}))


def test_a_constant_whole_number_stays_what_it_was_where_a_cell_is_missing():
    table = pd.DataFrame({"flow": [1.0, 2, 3], "recipe": [7, None, 7], "plant": ["a", "a", None]})
    assert constants_of(table, was={"recipe": "7", "plant": "a"}) == {"recipe": "7", "plant": "a"}
    assert constants_of(table, was={"recipe": "8", "plant": "7"}) == {"recipe": "7.0", "plant": "a"}


def test_a_sensor_that_woke_up_is_not_listed_value_by_value():
    found = constants_of(pd.DataFrame({"flow": np.arange(1000)}), was={"flow": "0"})
    assert found == {"flow": "0, 1, 2, 3, 4 and 995 more"}


def test_constants_are_those_of_the_windows_that_are_compared_alone():
    table = pd.DataFrame({"flow": range(6), "valve": ["on", "on", "on", "off", "on", "on"]})
    assert constants_of(table, was={"valve": "on"}, windows=[(0, 2), (1, 3), (4, 6)]) == {"valve": "on"}
    assert constants_of(table, was={"valve": "on"}, windows=[(2, 4)]) == {"valve": "on, off"}


def test_a_drift_check_keeps_the_newest_samples_in_the_order_in_which_they_came(tmp_path):
    (tmp_path / "source").mkdir()
    make_workspace(tmp_path / "home")
    app = Linewright.open(tmp_path / "home")
    options = TableOptions(window=5, stride=5)
    line = LineConfig(name="pump", modality=Modality.TABLE, source=str(tmp_path / "source"), table=options)
    app.add_line(line)
    for seed, name in enumerate(["b", "a"]):
        table = pd.DataFrame({"flow": np.random.default_rng(seed).normal(size=600)})
        table.to_csv(tmp_path / "source" / f"{name}.csv", index=False)
        ingest(app, "pump", actor="operator")
    manifest = LineData.open(app, line).manifest
    assert manifest[ManifestColumn.PATH].is_monotonic_increasing  # so that each file is parsed once
    assert all(own[ManifestColumn.START].is_monotonic_increasing for _, own in manifest.groupby(ManifestColumn.PATH))
    came = _by_age(manifest)
    assert sorted(came[ManifestColumn.SAMPLE]) == sorted(manifest[ManifestColumn.SAMPLE])
    newest = came.tail(int((manifest[ManifestColumn.ADDED_IN] == 2).sum()))
    assert set(newest[ManifestColumn.PATH]) == {"a.csv"}
    assert newest[ManifestColumn.START].is_monotonic_increasing


@pytest.fixture
def planned(tmp_path):
    """Plans of retrains in a new workspace, whose MLflow does nothing: of a line, by an identity that is their key."""
    make_workspace(tmp_path / "home")
    app = Linewright.open(tmp_path / "home")
    tracker = SimpleNamespace(close_stale=lambda *_, **__: 0)
    parts = SimpleNamespace(home=app.home, records=app.records, settings=app.settings, tracker=tracker)

    def plan(line: str, identity: str) -> SimpleNamespace:
        config = LineConfig(name=line, modality=Modality.TABLE, source=str(tmp_path))
        fixed = {"seed": 0, "version": SimpleNamespace(number=1), "actor": "operator", "request": ""}
        return SimpleNamespace(app=parts, line=config, identity=identity, key=identity, **fixed)

    return plan


def stopped(plan, error: BaseException) -> None:
    """A retrain that `error` stops after its search."""
    with retraining(plan) as job:
        job.once("search", lambda: {"best": 3})
        job.fresh_folder("model")
        raise error


def test_a_retrain_removes_what_a_killed_one_of_another_key_left(planned):
    for line, identity in (("pump", "killed"), ("press", "other")):
        with pytest.raises(ConflictError):
            stopped(planned(line, identity), ConflictError("As if it had been killed."))
    plan = planned("pump", "next")
    folder = plan.app.home / "retrains"
    (folder / "unknown").mkdir()
    with retraining(plan) as job:
        job.fresh_folder("model")
        assert sorted(path.name for path in folder.iterdir()) == ["next", "other", "unknown"]


@pytest.mark.parametrize(
    ("error", "state", "kept"),
    [
        (KeyboardInterrupt(), "crashed", True),
        (UnavailableError("S3 is away.", hint="Start it."), "crashed", True),
        (ValueError(), "failed", False),
    ],
)
def test_what_an_interrupted_retrain_finished_is_kept_and_of_one_that_failed_nothing(planned, error, state, kept):
    plan = planned("pump", "first")
    with pytest.raises(type(error)):
        stopped(plan, error)
    assert plan.app.records.retrains.get("first").state == state
    assert (plan.app.home / "retrains" / "first" / "model").is_dir() == kept
    if kept:
        with retraining(plan) as job:
            assert job.once("search", lambda: {"best": 4}) == {"best": 3}


def test_a_prefect_server_that_dies_within_a_flow_is_no_traceback():
    said = r"does not answer any more: ConnectError: refused\. What was finished"
    with pytest.raises(UnavailableError, match=said), answering():
        raise httpx.ConnectError("refused")


def test_a_retrain_that_would_change_nothing_answers_the_request_for_one(planned, monkeypatch):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        done = app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    plan = SimpleNamespace(app=app, line=SimpleNamespace(name="press"), done=done)
    monkeypatch.setattr(training, "plan_retrain", lambda *_, **__: plan)
    monkeypatch.setattr(planning, "plan_retrain", lambda *_, **__: plan)
    monkeypatch.setenv(HOME_VARIABLE, str(app.home))
    for run in (lambda: training.retrain_flow.fn(str(app.home), "press"), lambda: loop.retrain("press")):
        asked = app.records.requests.request_retrain("press", reason="drift")
        run()
        assert app.records.requests.pending("press") is None
        assert asked in app.records.requests.answered_by("r1")


def test_a_file_that_is_not_in_utf_8_is_named(tmp_path):
    make_workspace(tmp_path)
    app = Linewright.open(tmp_path)
    app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source="/data"))
    reading = {
        "lines/pump.yaml": lambda: app.line("pump"),
        "agents.yaml": lambda: app.config_text("agents.yaml"),
        "settings.yaml": lambda: Linewright.open(tmp_path),
    }
    for name, read in reading.items():
        with (tmp_path / name).open("ab") as file:
            file.write("# München\n".encode("latin-1"))
        with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / name} is not YAML: ")):
            read()


def test_doctor_finds_a_decision_that_its_actor_did_not_sign(planned):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    approve(office(app), line="press", version=1, actor="operator", reason="recall is what we need")

    def found():
        return next(item for item in diagnose(app.home) if item.name == "decisions")

    assert (found().ok, found().detail) == (True, "1, each as its actor signed it")
    with closing(sqlite3.connect(app.home / "linewright.db")) as connection, connection:
        connection.execute("UPDATE lw_decisions SET record = replace(record, 'recall', 'speed')")
    assert (found().ok, found().detail) == (False, "The signature of 'operator' does not fit.")


def test_a_role_that_is_in_force_is_in_the_ledger_wherever_its_making_was_killed(tmp_path, monkeypatch):
    make_workspace(tmp_path)
    app = Linewright.open(tmp_path)
    with monkeypatch.context() as killing:
        killing.setattr(app.records.ledger, "note", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add_actor(app, "anna", role="engineer")
    assert "anna" not in office(app).actors.roles
    identity = add_actor(app, "anna", role="engineer")
    (event,) = app.records.ledger.events(kind="key added")
    assert (event.actor, event.data) == ("anna", {"key": identity, "role": "engineer"})


def test_a_retrain_is_not_lost_because_git_does_not_tell_the_commit(monkeypatch):
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=subprocess.TimeoutExpired("git", 10)))
    assert provenance()["commit"] == "unknown: TimeoutExpired"


def test_a_decision_says_that_it_holds_where_mlflow_does_not_answer(planned):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    app.line = lambda _: None
    app.tracker.sync_aliases = Mock(side_effect=UnavailableError("MLflow is away.", hint="Start it."))
    with pytest.raises(UnavailableError, match=r"The decision holds, but .* MLflow is away\. Start it\. The next"):
        approve_version(app, "press", version=1, actor="operator", reason="recall is what we need")
    assert app.records.models.champion("press").version == 1
    app.tracker.sync_aliases = Mock()
    copy_aliases(app)
    app.tracker.sync_aliases.assert_called_once_with("press", {"champion": 1, "previous": None, "candidate": None})
    assert app.records.decisions.outbox() == ()


def test_the_file_of_a_removed_line_is_kept_also_when_one_of_its_name_was_removed_before(tmp_path):
    app = Linewright(Settings(home=tmp_path))
    app.settings.lines.mkdir()
    kept = {}
    for source in ("/first", "/second", "/third"):
        app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source=source))
        kept[source] = app.remove_line("pump")
    assert all(source in path.read_text() for source, path in kept.items())
    assert app.line_names() == []
