"""One rule: what costs, uncertainty and distance make of a score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.contracts import Costs
from components.metrics.conformal import reference
from components.metrics.thresholds import calibrate
from components.metrics.verdicts import answers, severity_of, verdict_of
from components.testing.records import a_calibration


def limits(**costs):
    return a_calibration(threshold=1.0, low=0.9, high=1.3, costs=Costs(**costs), centre=0.0)


def test_by_default_unsure_is_the_interval():
    words = [verdict_of(score, limits()) for score in (0.89, 0.9, 1.0, 1.3, 1.31)]
    assert words == ["OK", "unsure", "unsure", "unsure", "NG"]


def test_the_score_s_own_uncertainty_widens_it():
    # hypot(0.3, 1.96 * 0.2) = 0.494; hypot(0.1, 0.392) = 0.405
    words = [verdict_of(score, limits(), uncertainty=0.2) for score in (0.59, 0.6, 1.49, 1.5)]
    assert words == ["OK", "unsure", "unsure", "NG"]


def test_noise_alone_makes_no_usual_score_unsure():
    normal = np.linspace(0.0, 0.99, 100)
    made = a_calibration(threshold=1.0, low=0.95, high=1.3, samples=100, reference=reference(normal))
    # All are within 1.96 * 0.5 of the threshold; 11 of 101 normal samples reach 0.90, 10 of 101 reach 0.91.
    words = [verdict_of(score, made, uncertainty=0.5) for score in (0.1, 0.5, 0.9, 0.904, 0.906, 1.0, 1.9)]
    assert words == ["OK", "OK", "OK", "OK", "unsure", "unsure", "unsure"]
    # The threshold's own interval stays unsure, however many normal samples it holds, and so do scores above it.
    wide = made.model_copy(update={"low": 0.4})
    assert [verdict_of(score, wide, uncertainty=0.5) for score in (0.39, 0.4, 0.9)] == ["OK", "unsure", "unsure"]
    lax = made.model_copy(update={"threshold": 0.5, "low": 0.48, "high": 0.52})
    assert [verdict_of(score, lax, uncertainty=0.5) for score in (0.45, 0.55, 2.0)] == ["OK", "unsure", "NG"]


def test_costs_decide_when_a_person_looks():
    dear_miss = limits(miss=10.0)  # 0.025 / 10: looks up to 2.81 deviations below
    assert [verdict_of(score, dear_miss) for score in (0.85, 0.86, 1.31)] == ["OK", "unsure", "NG"]
    dear_look = limits(unsure=0.5)
    assert [verdict_of(score, dear_look) for score in (0.95, 1.05)] == ["OK", "NG"]


@given(st.floats(0, 2), st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.001, 10))
def test_no_cost_makes_a_score_below_the_threshold_ng(score, spread, miss, false_alarm, unsure):
    costs = {"miss": miss, "false_alarm": false_alarm, "unsure": unsure}
    word = verdict_of(score, limits(**costs), uncertainty=spread)
    assert word in (("NG", "unsure") if score > 1 else ("OK", "unsure"))


def test_severity_by_hand():
    found = [severity_of(score, limits()) for score in (0.5, 1.0, 1.01, 1.5, 2.9, 3.0)]
    assert found == ["none", "none", "low", "medium", "medium", "high"]


def test_severity_does_not_depend_on_the_scale():
    scores = np.random.default_rng(0).normal(size=200)
    plain = calibrate(scores, rate=0.05, method="split", seed=0)
    moved = calibrate(7 * scores + 100, rate=0.05, method="split", seed=0)
    tried = np.linspace(-1, 8, 50)
    assert [severity_of(one, plain) for one in tried] == [severity_of(7 * one + 100, moved) for one in tried]


def test_what_is_said_of_a_batch():
    made = calibrate(np.arange(99.0), rate=0.05, method="split", seed=0)
    found = answers(np.array([10.0, 500.0]), made, uncertainty=np.array([0.0, 3.0]))
    assert [one.p_value for one in found] == pytest.approx([0.9, 0.01])
    assert [(one.word, one.severity) for one in found] == [("OK", "none"), ("NG", "high")]
    assert found[1].uncertainty == pytest.approx(np.hypot((made.high - made.low) / 2, 1.96 * 3), rel=1e-4)


def test_a_calibration_of_an_earlier_release_still_gives_verdicts():
    old = a_calibration(threshold=1.0, low=0.9, high=1.1)
    found = answers(np.array([2.0]), old)[0]
    assert (found.word, found.p_value, found.severity) == ("NG", None, None)
