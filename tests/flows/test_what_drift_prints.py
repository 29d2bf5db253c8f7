"""What `linewright drift` prints of a report."""

import pytest

from components.core.drift_report import DriftFeature
from components.testing.records import a_drift_report
from flows.commands.loop import print_drift


@pytest.mark.parametrize("verdict", ["not enough data", "no drift"])
def test_what_nothing_tested_is_not_shown_beside_thresholds(verdict, capsys):
    moved = DriftFeature(name="flow", family="feature", distance=2, threshold=0.5, effect=1.9, drifted=False)
    print_drift(a_drift_report(verdict=verdict, features=(moved,)), path="", follows="")
    told = capsys.readouterr().out
    assert "brightness fell" in told
    assert "+1.90" in told
    assert ("untested" in told) == (verdict == "not enough data") == ("threshold" not in told)
