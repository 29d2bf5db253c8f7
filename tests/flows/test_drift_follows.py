"""What a drift verdict leads to, by the line's action and by whether `linewright up` runs."""

import pytest

from flows.drift import what_follows


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
