from functools import partial

import numpy as np
import pytest

from components.metrics.bootstrap import interval, paired_difference, rate_interval, stratified
from components.metrics.ranking import auroc, average_precision, recall


def make(seed=0, n=300, shift=1.5):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3 == 0
    return random.normal(size=n) + shift * labels, labels


def test_interval_holds_the_value_and_narrows_with_n():
    small, large = (interval(auroc, *make(n=n), seed=1) for n in (30, 3000))
    assert small.low <= small.value <= small.high
    assert large.high - large.low < (small.high - small.low) / 3
    assert (small.n, large.n) == (30, 3000)


def test_coverage_is_near_the_level():
    # For normal scores shifted by 1.5, the true AUROC is Phi(1.5 / sqrt 2) = 0.8556.
    found = [interval(auroc, *make(seed=seed, n=120), seed=seed, resamples=200) for seed in range(100)]
    assert 88 <= sum(one.low <= 0.8556 <= one.high for one in found) <= 100


def test_same_seed_same_interval():
    assert interval(auroc, *make(), seed=3) == interval(auroc, *make(), seed=3)
    assert interval(auroc, *make(), seed=3) != interval(auroc, *make(), seed=4)


@pytest.mark.parametrize(("label", "note"), [(0, "no anomalous samples"), (1, "no normal samples")])
def test_one_class_has_no_value(label, note):
    found = interval(auroc, [1.0, 2.0], [label, label], seed=0)
    assert (found.value, found.low, found.note) == (None, None, note)


def test_no_samples():
    assert interval(average_precision, [], [], seed=0).note == "no samples"
    assert rate_interval(0, 0).value is None


def test_resamples_keep_the_classes():
    labels = np.array([True, False, False, False])
    for index in stratified(labels, seed=0, resamples=20):
        assert labels[index].sum() == 1
        assert len(index) == 4


def test_a_threshold_metric_needs_no_normal_samples():
    found = interval(partial(recall, threshold=1.5), [1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1], seed=0)
    assert found.value == 0.75


def test_paired_difference_is_zero_for_equal_and_narrower_than_unpaired():
    scores, labels = make()
    assert paired_difference(auroc, scores, scores, labels, seed=0).high == 0
    other = scores + np.random.default_rng(5).normal(scale=0.1, size=len(scores))
    paired = paired_difference(auroc, scores, other, labels, seed=0)
    alone = interval(auroc, scores, labels, seed=0)
    assert paired.low <= 0 <= paired.high
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_paired_difference_has_the_sign_of_a_minus_b():
    scores, labels = make()
    assert paired_difference(auroc, scores, -scores, labels, seed=0).low > 0


def test_clopper_pearson_by_hand():
    # 10 of 10: the lower end p solves p ** 10 = 0.025.
    rate = rate_interval(10, 10)
    assert (rate.value, rate.high) == (1.0, 1.0)
    assert rate.low == pytest.approx(0.025**0.1)
    with pytest.raises(ValueError, match="11 successes of 10"):
        rate_interval(11, 10)
