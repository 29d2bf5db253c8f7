"""What a drift verdict leads to, by the line's action and by whether `linewright up` runs."""

from types import SimpleNamespace

import pytest

from components.adapters.db.tables import RETRAINS
from components.core.drift_report import DriftFeature
from components.testing.records import a_drift_report, a_model
from flows import drift
from flows.drift import what_follows
from flows.jobs.drift import DriftOutcome


@pytest.mark.parametrize(
    ("action", "alone", "under_up"),
    [("off", "nothing", "nothing"), ("ask", "request", "event"), ("on", "retrain", "event")],
)
def test_drift_leads_to_what_the_line_says(action: str, alone: str, under_up: str) -> None:
    assert what_follows("drift", action=action, up=lambda: False) == alone
    assert what_follows("drift", action=action, up=lambda: True) == under_up


@pytest.mark.parametrize("verdict", ["no drift", "not enough data"])
@pytest.mark.parametrize("action", ["off", "ask", "on"])
def test_anything_else_leads_to_nothing_and_asks_nobody(verdict: str, action: str) -> None:
    assert what_follows(verdict, action=action, up=lambda: pytest.fail("asked")) == "nothing"


@pytest.fixture
def found(monkeypatch):
    """The flow on a line whose check finds a report: what it leads to, what a request says, and what an event."""

    def run(report):
        asked, told, shown = {}, {}, []
        requests = SimpleNamespace(request_retrain=lambda _, **given: asked.update(given))
        line = SimpleNamespace(drift=SimpleNamespace(action="ask"))
        app = SimpleNamespace(records=SimpleNamespace(requests=requests), settings=None, line=lambda _: line)
        monkeypatch.setattr(drift.Linewright, "open", lambda _: app)
        outcome = DriftOutcome(report=report, check_id=10**9, html="", champion=a_model(), number=1)
        monkeypatch.setattr(drift, "check_drift", lambda *_, **__: outcome)
        monkeypatch.setattr(drift, "show_in_mlflow", lambda *_: shown.append((bool(asked), bool(told))))
        monkeypatch.setattr(drift, "up_is_running", lambda _: True)
        monkeypatch.setattr(drift, "emit_drift", lambda _, **given: told.update(given))
        follows = drift.drift_flow.fn("home", "x" * 48)[1]
        assert shown == [(follows != "nothing",) * 2]  # last: a request must not be lost with MLflow
        return follows, asked, told

    return run


def moved(family):
    return DriftFeature(name="m04", family=family, distance=1.0, threshold=0.0, effect=1.0, drifted=True)


def test_no_retrain_is_asked_for_that_would_not_learn_what_changed(found):
    assert found(a_drift_report(features=(moved("left-out"),))) == ("nothing", {}, {})
    assert found(a_drift_report(features=(moved("left-out"), moved("feature"))))[0] == "event"


def test_the_reason_of_a_retrain_is_the_same_by_event_and_by_request_and_fits_its_column(found):
    follows, asked, told = found(a_drift_report(kind="camera or lighting"))
    assert follows == "event"
    assert told["check"] == asked["reason"] == "drift check 1000000000: camera or lighting"
    assert len(told["check"]) <= RETRAINS.c.request.type.length
