"""kill -9 in the middle of a retrain, everywhere: the next one goes on, and nothing is left half-made or twice."""

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from flows.wiring import Linewright

SCRIPT = Path(sys.executable).with_name("linewright")

pytestmark = pytest.mark.server

PLACES = (
    ("components.adapters.db.retrains:Retrains.begin", "after"),
    ("components.adapters.tracking:Tracker.start_retrain", "after"),
    ("components.adapters.tracking:Tracker.start_trial", "after"),
    ("components.adapters.db.retrains:Retrains.checkpoint", "before"),  # the search has ended and is not kept
    ("components.adapters.db.retrains:Retrains.checkpoint", "after"),
    ("flows.jobs.modelling:train", "after"),
    ("components.adapters.db.looks:Looks.look", "after"),
    ("components.adapters.tracking:Tracker.log_model", "after"),
    ("components.adapters.tracking:Tracker.create_version", "after"),
    ("components.adapters.db.models:Models.register", "after"),
    ("components.adapters.tracking:Tracker.sync_aliases", "after"),
    ("components.adapters.db.retrains:Retrains.finish", "before"),
)
"""Twelve places in the order of a retrain: each is reached by the one that goes on after the kill before it."""


@pytest.fixture(scope="module")
def press(linewright, story):
    """A line of its own on the same files, since every retrain of it counts."""
    source = linewright.folder / "sources" / "press"
    source.mkdir()
    shutil.copy(linewright.folder / "sources" / "pump" / "pump-1.csv", source)
    linewright.add_table("press", "--modality", "table", "--window", "10", source=source)
    linewright.good("ingest", "press")
    return "press"


def check_whole(app: Linewright, line: str, *, retrains: int) -> None:
    """Exactly one candidate a retrain, and no trace of those that were killed."""
    from mlflow import MlflowClient

    records = app.records
    models = records.models.list(line)
    assert [model.version for model in models] == list(range(retrains, 0, -1))
    assert len({model.retrain for model in models}) == retrains
    states = Counter(found.state for found in records.retrains.list(line))
    assert states["running"] == 0
    assert states["done"] == retrains
    assert records.leases.holder(line) == ""
    client = MlflowClient(tracking_uri=app.settings.tracking_uri)
    experiment = client.get_experiment_by_name(line)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert "RUNNING" not in {run.info.status for run in runs}
    finished = [run for run in runs if run.info.status == "FINISHED" and "mlflow.parentRunId" not in run.data.tags]
    assert {run.info.run_id for run in finished} == {model.mlflow_run for model in models}
    versions = client.search_model_versions(f"name = '{line}'")
    assert {int(found.version) for found in versions} == {model.mlflow_version for model in models}
    assert len(versions) == retrains
    assert client.get_registered_model(line).aliases == {"candidate": models[0].mlflow_version}
    for model in models:
        assert "checks.json" in model.explanations
        assert len(model.checks) == 4
        trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == model.mlflow_run]
        done = [run for run in trials if run.info.status == "FINISHED"]
        assert len(done) == len(model.search.trials)
    assert not list((app.home / "retrains").iterdir())
    records.ledger.verify()


def test_a_retrain_goes_on_wherever_it_was_killed(linewright, press):
    for place in PLACES:
        killed = linewright.start("retrain", press, "--budget", "2", kill=place).result()
        assert killed.code == -signal.SIGKILL, f"{place}: {killed}"
    linewright.good("retrain", press, "--budget", "2")
    app = linewright.open()
    check_whole(app, press, retrains=1)
    (retrain,) = app.records.retrains.list(press)
    assert retrain.state == "done"
    (model,) = app.records.models.list(press)
    assert [trial.state for trial in model.search.trials] == ["complete", "complete"]
    assert model.evaluation.looks == 1


def test_a_whole_command_killed_before_another_retrain(linewright, press):
    """The command as installed, killed at a moment that nobody chose; then a retrain of another seed."""
    app = linewright.open()
    before = len(app.records.retrains.list(press))
    command = subprocess.Popen(
        [SCRIPT, "retrain", press, "--budget", "2", "--seed", "1"], cwd=linewright.cwd, env=linewright.environment
    )
    deadline = time.monotonic() + 60
    while len(app.records.retrains.list(press)) == before:
        assert time.monotonic() < deadline
        assert command.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    command.kill()
    command.wait()
    states = {found["line"]: found["retrain"] for found in linewright.good("status", "--json").json}
    assert states[press] == "unfinished"
    linewright.good("retrain", press, "--budget", "1", "--seed", "2")
    check_whole(app, press, retrains=2)
    assert Counter(found.state for found in app.records.retrains.list(press)) == {"done": 2, "crashed": 1}


def test_two_retrains_of_one_line_at_once_and_one_of_another(linewright, press, texture):
    running = [
        linewright.start("retrain", press, "--budget", "2", "--seed", "3"),
        linewright.start("retrain", press, "--budget", "2", "--seed", "4"),
        linewright.start("retrain", "texture", "--budget", "1", "--seed", "5"),
    ]
    first, second, other = (command.result() for command in running)
    assert (other.code, other.err) == (0, "")
    won, lost = sorted((first, second), key=lambda found: found.code)
    assert (won.code, won.err) == (0, "")
    assert lost.code == 1
    assert lost.err.startswith(f"Error: Line '{press}' is being retrained by ")
    assert lost.err.count("\n") == 1
    check_whole(linewright.open(), press, retrains=3)
