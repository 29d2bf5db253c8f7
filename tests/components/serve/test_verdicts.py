"""Scores become verdicts: OK up to the threshold, NG above it, unsure within its interval."""

import numpy as np
import pytest

from components.core.contracts import Calibration, Scores
from components.metrics.thresholds import calibrate
from components.serve.verdicts import flagged, many_above, verdicts


def calibration(low: float, high: float) -> Calibration:
    return Calibration(threshold=1.0, low=low, high=high, false_alarm_rate=0.1, samples=9, method="split", guarantee="")


def of(scores, low=0.8, high=1.4, bounds=None):
    samples = [f"s{number}" for number in range(len(scores))]
    return verdicts(
        line="press",
        model_version=3,
        calibration=calibration(low, high),
        samples=samples,
        paths=[f"{name}.png" for name in samples],
        scores=Scores(image=np.array(scores, dtype=np.float64)),
        bounds=bounds,
    )


@pytest.mark.parametrize(
    ("score", "word"),
    [(0.79, "OK"), (0.8, "unsure"), (1.0, "unsure"), (1.2, "unsure"), (1.4, "unsure"), (1.41, "NG")],
)
def test_unsure_lies_within_the_interval(score, word):
    assert [found.verdict for found in of([score])] == [word]


@pytest.mark.parametrize(("score", "word"), [(0.99, "OK"), (1.0, "OK"), (1.01, "NG")])
def test_without_an_interval_nothing_is_unsure(score, word):
    assert [found.verdict for found in of([score], low=1.0, high=1.0)] == [word]


def test_every_sample_gets_one_verdict_in_order():
    found = of([0.1, 2.0, 1.1])
    assert [item.sample for item in found] == ["s0", "s1", "s2"]
    assert [item.path for item in found] == ["s0.png", "s1.png", "s2.png"]
    assert [item.score for item in found] == [0.1, 2.0, 1.1]
    assert len({item.verdict_id for item in found}) == 3
    assert {(item.line, item.model_version, item.threshold) for item in found} == {("press", 3, 1.0)}
    assert [item.uncertainty for item in found] == pytest.approx([0.3] * 3)
    assert {(item.start, item.end) for item in found} == {(None, None)}


def test_windows_carry_their_rows():
    found = of([0.1, 2.0], bounds=np.array([[0, 10], [7, 17]]))
    assert [(item.start, item.end) for item in found] == [(0, 10), (7, 17)]


def test_no_samples_no_verdicts():
    assert of([]) == []


def test_a_batch_is_flagged_by_its_p_values():
    limits = calibrate(np.arange(99.0), rate=0.01, method="split", seed=0)
    scores = Scores(image=np.array([200.0, 5.0, 300.0, 50.0]))
    found = verdicts(
        line="press", model_version=1, calibration=limits, samples=list("abcd"), paths=list("abcd"), scores=scores
    )
    assert [item.p_value for item in found] == pytest.approx([0.01, 0.95, 0.01, 0.5])
    assert [item.severity for item in found] == ["high", "none", "high", "none"]
    chosen, fewest = flagged(found, limits, rate=0.1)
    assert (chosen, fewest) == ({found[0].verdict_id, found[2].verdict_id}, 1)


def test_the_uncertainty_of_a_score_reaches_its_verdict():
    scores = Scores(image=np.array([2.0, 2.0]), uncertainty=np.array([0.0, 1.0]))
    found = verdicts(
        line="press", model_version=1, calibration=calibration(0.8, 1.4), samples=["a", "b"], paths=["", ""],
        scores=scores,
    )  # fmt: skip
    assert [item.verdict for item in found] == ["NG", "unsure"]
    assert found[1].uncertainty == pytest.approx(np.hypot(0.3, 1.96), rel=1e-4)


def test_a_file_s_name_that_is_no_utf_8_is_kept_in_escapes():
    (found,) = verdicts(
        line="press", model_version=3, calibration=calibration(0.8, 1.4), samples=["s0"], paths=["/in/latin\udcfc.png"],
        scores=Scores(image=np.array([0.5])),
    )  # fmt: skip
    assert found.path == "/in/latin\\udcfc.png"


def test_far_more_than_the_declared_rate_is_told_and_a_few_more_are_not():
    told = many_above(of([2.0] * 11 + [0.0] * 11), calibration(0.8, 1.4))
    assert told.startswith("11 of 22 score above the threshold (50.0%), of normal samples 10.00% would: ")
    assert many_above(of([2.0] * 11 + [0.0] * 12), calibration(0.8, 1.4)) == ""
    assert many_above(of([2.0] * 9), calibration(0.8, 1.4)) == ""
    assert many_above([], calibration(0.8, 1.4)) == ""
