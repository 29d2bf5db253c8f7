"""What a drift verdict leads to, by the line's action and by whether `linewright up` runs."""

from types import SimpleNamespace

import pytest

from components.adapters.db.tables import RETRAINS
from components.testing.records import a_drift_report
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


def test_the_reason_of_a_retrain_is_the_same_by_event_and_by_request_and_fits_its_column(monkeypatch):
    asked, told = {}, {}
    requests = SimpleNamespace(request_retrain=lambda _, **given: asked.update(given))
    line = SimpleNamespace(drift=SimpleNamespace(action="ask"))
    app = SimpleNamespace(records=SimpleNamespace(requests=requests), settings=None, line=lambda _: line)
    report = a_drift_report(kind="camera or lighting")
    monkeypatch.setattr(drift.Linewright, "open", lambda _: app)
    monkeypatch.setattr(drift, "check_drift", lambda *_, **__: DriftOutcome(report=report, check_id=10**9, html=""))
    monkeypatch.setattr(drift, "up_is_running", lambda _: True)
    monkeypatch.setattr(drift, "emit_drift", lambda _, **given: told.update(given))
    assert drift.drift_flow.fn("home", "x" * 48)[1] == "event"
    assert told["check"] == asked["reason"] == "drift check 1000000000: camera or lighting"
    assert len(told["check"]) <= RETRAINS.c.request.type.length
