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


def test_the_order_is_that_of_the_report(capsys):
    features = [
        DriftFeature(name=name, family="feature", distance=distance, threshold=0.1, effect=effect, drifted=False)
        for name, distance, effect in (("flow", 0.3, 0.4), ("level", 0.9, 0.01))
    ]
    print_drift(a_drift_report(verdict="not enough data", features=tuple(features)), path="", follows="")
    told = capsys.readouterr().out
    assert told.index("flow") < told.index("level")
