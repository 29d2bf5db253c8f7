"""The figures of the gate, on numbers small enough to count, and the limits."""

import itertools

import numpy as np
import pytest

from components.core.contracts import Calibration, Costs
from components.export.gate import Limits, compare, objections
from components.export.runner.detector import answer, verdict
from components.metrics.conformal import reference
from components.metrics.thresholds import calibrate
from components.metrics.verdicts import HIGH, MEDIUM, answers, verdict_of

LIMITS = Limits(flip_share=0.2, unsure_change=0.2, correlation=0.9)


def figures(after, words_after, before=(1.0, 2.0, 4.0, 8.0), words_before=("OK", "OK", "unsure", "NG")):
    return compare(np.array(before), np.array(after), words_before=list(words_before), words_after=list(words_after))


def test_what_is_equal_is_found_equal():
    found = figures([1.0, 2.0, 4.0, 8.0], ["OK", "OK", "unsure", "NG"])
    assert (found.flips, found.changed, found.unsure_change, found.largest_difference) == (0, 0, 0, 0)
    assert (found.pearson, found.spearman) == (pytest.approx(1), pytest.approx(1))
    assert objections(found, limits=LIMITS) == ()


def test_flips_are_from_one_sharp_word_to_the_other():
    found = figures([2.0, 1.0, 4.0, 6.0], ["NG", "unsure", "NG", "NG"])
    assert (found.flips, found.changed, found.flip_share) == (1, 3, 0.25)
    assert (found.unsure_before, found.unsure_after) == (0.25, 0.25)
    assert found.largest_difference == pytest.approx(2 / np.std([1, 2, 4, 8]))
    assert found.spearman == pytest.approx(0.8)
    assert objections(found, limits=LIMITS) == ("1 of 4 verdicts flip (25.00%, at most 20.00%)",)


def test_a_score_near_zero_is_far_from_none():
    found = figures([1e-6, 2.0, 4.0, 8.0], ["OK", "OK", "unsure", "NG"], before=(1e-3, 2.0, 4.0, 8.0))
    assert found.largest_difference < 1e-3


def test_more_unsure_verdicts_and_lost_correlation_are_objected_to():
    found = figures([4.0, 2.0, 1.0, 3.0], ["unsure", "unsure", "unsure", "NG"])
    said = objections(found, limits=LIMITS)
    assert said[0] == "1 -> 3 of 4 verdicts are unsure, a change of 50.00% (20.00% at most)"
    assert said[1].startswith("the scores' correlation is ")
    assert len(said) == 2


def test_scores_that_are_no_numbers_are_objected_to():
    found = figures([1.0, 2.0, 4.0, np.nan], ["OK", "OK", "unsure", "NG"])
    assert objections(found, limits=LIMITS) == ("1 of 4 scores are no finite number",)


def test_without_spread_there_is_no_correlation():
    found = figures([3.0, 3.0], ["OK", "OK"], before=(3.0, 3.0), words_before=("OK", "OK"))
    assert (found.pearson, found.spearman) == (None, None)
    assert objections(found, limits=LIMITS) == ()


def test_an_export_that_tells_nothing_apart_is_objected_to_although_no_verdict_flips():
    found = figures([1.0, 1.0], ["OK", "OK"], before=(1.0, 2.0), words_before=("OK", "OK"))
    assert (found.pearson, found.spearman) == (0, 0)
    assert objections(found, limits=LIMITS) == ("the scores' correlation is 0.000000 (at least 0.9)",)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="0 scores cannot be compared with 0"):
        figures([], [], before=(), words_before=())


def test_the_runner_has_the_same_rule():
    normal = np.linspace(0, 1, 40)
    grid = itertools.product((0.1, 1.0), (0.1, 1.0), (0.001, 0.025, 0.2, 0.6), (0.0, 0.3), ((), reference(normal)))
    for miss, alarm, unsure, spread, known in grid:
        calibration = Calibration(
            threshold=1.0, low=0.8, high=1.5, false_alarm_rate=0.1, samples=40, method="split", guarantee="",
            reference=known, costs=Costs(miss=miss, false_alarm=alarm, unsure=unsure),
        )  # fmt: skip
        rule = calibration.model_dump(mode="json")
        for score in np.linspace(0, 3, 61):
            assert verdict(score, spread, rule) == verdict_of(score, calibration, uncertainty=spread)


@pytest.mark.parametrize("samples", [9, 3_000])
def test_the_runner_says_the_same_of_a_score(samples):
    scores = np.random.default_rng(0).normal(10, 1, samples)
    calibration = calibrate(scores, rate=None, method="split", seed=0)
    spec = {"calibration": calibration.model_dump(mode="json"), "severity": {"medium": MEDIUM, "high": HIGH}}
    asked = np.concatenate([np.linspace(0, 40, 81), scores[:20]])
    for score, expected in zip(asked.tolist(), answers(asked, calibration), strict=True):
        said = answer(score, 0.0, spec)
        assert (said["verdict"], said["p_value"], said["severity"]) == (
            expected.word,
            pytest.approx(expected.p_value),
            expected.severity,
        )


def test_the_runner_says_nothing_that_an_old_calibration_does_not_know():
    calibration = Calibration(
        threshold=1.0, low=0.8, high=1.5, false_alarm_rate=0.1, samples=9, method="split", guarantee=""
    )
    spec = {"calibration": calibration.model_dump(mode="json"), "severity": {"medium": MEDIUM, "high": HIGH}}
    said = answer(2.0, 0.0, spec)
    assert (said["verdict"], said["p_value"], said["severity"]) == ("NG", None, None)
