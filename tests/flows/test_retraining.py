"""What a retrain keeps where something stops it, and what it answers."""

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import pytest

from components.approve.service import approve
from components.core.contracts import Condition, GateReport
from components.core.errors import ConflictError, NotEnoughDataError, RefusedError, UnavailableError
from components.core.lines import ImageOptions, TableOptions
from components.settings import HOME_VARIABLE
from components.testing.records import a_model
from flows import training
from flows.commands import loop
from flows.jobs import plan as planning
from flows.jobs.models import as_trained, champion_of
from flows.jobs.plan import plan_retrain
from flows.jobs.promote import office
from flows.jobs.registering import provenance
from flows.jobs.retrain import retraining
from flows.runtime.server import answering

ROOT = Path(__file__).parents[2]


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


def test_what_stages_took_is_known_after_an_interruption(planned):
    def search(job):
        with job.timed("search"):
            time.sleep(0.05)
        return {"best": 3}

    def interrupted():
        with retraining(planned("pump", "first")) as job:
            job.once("search", lambda: search(job))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with retraining(planned("pump", "first")) as job:
        job.once("search", lambda: pytest.fail("done again"))
        found = job.account()
        assert found["total"] > found["search"] >= 0.05


def test_a_retrain_whose_line_is_another_s_begins_nothing(planned):
    def robbed():
        with retraining(planned("pump", "first")) as job:
            job._held = Mock(taken=True)
            with job.timed("search"):
                pytest.fail("begun")

    with pytest.raises(ConflictError, match="Another took the lease of line 'pump'"):
        robbed()


def test_a_model_reads_samples_as_when_it_was_trained(planned):
    plan = planned("press", "r1")
    plan.line = plan.line.model_copy(update={"image": ImageOptions(white_level=1023)})
    with retraining(plan) as job:
        model = plan.app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    today = plan.line.model_copy(
        update={"image": ImageOptions(white_level=4095, min_side=64), "table": TableOptions(group="batch")}
    )
    line = as_trained(plan.app, today, model)
    assert line.image == ImageOptions(white_level=1023, min_side=64)
    assert line.table.group == ""


def test_a_candidate_that_was_compared_with_another_champion_is_not_the_answer(planned, monkeypatch):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        first = app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    with retraining(planned("press", "r2")) as job:
        second = app.records.models.register(job.lease, a_model(retrain="r2", dataset=1))
    line, version = planned("press", "r1").line, SimpleNamespace(manifest_sha256="0", tag="press/v1")
    parts = SimpleNamespace(
        records=app.records, line=lambda _: line, registry=SimpleNamespace(latest=lambda _: version),
        config_path=lambda name: ROOT / "configs" / name, config_text=lambda _: "",
    )  # fmt: skip

    def answer(model):
        monkeypatch.setattr(app.records.retrains, "find_done", lambda *_: model)
        return plan_retrain(parts, "press", budget=None, seed=None, actor="operator").done

    assert (answer(first), answer(second)) == (first, second)
    approve(office(app), line="press", version=1, actor="operator", reason="the first of them")
    first = app.records.models.get("press", 1)
    assert (answer(first), answer(second)) == (first, None)
    with pytest.raises(RefusedError, match="retrain to compare with it") as refused:
        approve(office(app), line="press", version=2, actor="operator", reason="the second of them")
    assert refused.value.hint == "Give: linewright retrain press, or approve with --accept-unmeasured."


def test_a_line_without_a_champion_is_told_how_to_approve_what_waits(planned):
    app = planned("press", "r1").app
    gate = GateReport(
        conditions=(
            Condition(name="latency_ms", status="failed"), Condition(name="recall", status="unmeasured"),
            Condition(name="no_leak", status="met"),
        ),
        champion=None,
    )  # fmt: skip
    with retraining(planned("press", "r1")) as job:
        app.records.models.register(job.lease, a_model(retrain="r1", dataset=1, gate=gate))
    with pytest.raises(NotEnoughDataError) as refused:
        champion_of(app, "press")
    assert refused.value.hint.endswith("approve press 1 --reason TEXT --accept-unmeasured --override")


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
