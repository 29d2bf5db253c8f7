"""What a retrain keeps where something stops it, and what it answers."""

import subprocess
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import pytest

from components.core.errors import ConflictError, UnavailableError
from components.settings import HOME_VARIABLE
from components.testing.records import a_model
from flows import training
from flows.commands import loop
from flows.jobs import plan as planning
from flows.jobs.registering import provenance
from flows.jobs.retrain import retraining
from flows.runtime.server import answering


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
        (KeyboardInterrupt(), "unfinished", True),
        (UnavailableError("S3 is away.", hint="Start it."), "unfinished", True),
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


def test_a_retrain_is_not_lost_because_git_does_not_tell_the_commit(monkeypatch):
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=subprocess.TimeoutExpired("git", 10)))
    assert provenance()["commit"] == "unknown: TimeoutExpired"
