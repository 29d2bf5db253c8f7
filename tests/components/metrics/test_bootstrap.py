import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from components.metrics.bootstrap import interval, paired_difference, rate_interval
from components.metrics.ranking import auroc, average_precision


def make(seed=0, n=300, shift=1.5):
    labels = (np.arange(n) % 3 == 0).astype(np.int8)
    return np.random.default_rng(seed).normal(size=n) + shift * labels, labels


def test_interval_holds_the_value_and_narrows_with_n():
    small, large = (interval(auroc, *make(n=n), seed=1) for n in (30, 3000))
    assert small.low <= small.value <= small.high
    assert large.high - large.low < (small.high - small.low) / 3
    assert (small.n, large.n) == (30, 3000)


def test_coverage_is_near_the_level():
    # For normal scores shifted by 1.5 the true AUROC is Phi(1.5 / sqrt 2) = 0.8556.
    found = [interval(auroc, *make(seed=seed, n=120), seed=seed) for seed in range(100)]
    assert sum(one.low <= 0.8556 <= one.high for one in found) >= 88


def test_same_seed_same_interval():
    assert interval(auroc, *make(), seed=3) == interval(auroc, *make(), seed=3)
    assert interval(auroc, *make(), seed=3) != interval(auroc, *make(), seed=4)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_value_but_a_note(label):
    labels = np.full(4, label, np.int8)
    for found in (
        interval(average_precision, np.arange(4.0), labels, seed=0),
        paired_difference(auroc, np.arange(4.0), np.arange(4.0), labels, seed=0),
    ):
        assert (found.value, found.low, found.n) == (None, None, 4)
        assert "both" in found.note


def test_paired_difference_is_narrower_than_unpaired():
    scores, labels = make()
    other = scores + np.random.default_rng(5).normal(scale=0.1, size=len(scores))
    paired = paired_difference(auroc, scores, other, labels, seed=0)
    alone = interval(auroc, scores, labels, seed=0)
    assert paired.low <= paired.value <= paired.high
    assert paired.high - paired.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize(("anomalies", "normals"), [(2, 40), (8, 40), (40, 20), (100, 200)])
def test_of_samples_that_two_models_rank_alike_the_next_may_differ(anomalies, normals):
    labels = np.repeat([1, 0], [anomalies, normals]).astype(np.int8)
    scores = np.arange(len(labels), 0.0, -1)
    found = paired_difference(auroc, scores, scores, labels, seed=0)
    # A share p of which none of n is with a chance of 0.025, and on which one model is at chance: (1 - p) ** n = 0.025.
    missed = (1 - 0.025 ** (1 / min(anomalies, normals))) / 2
    assert found.value == 0
    assert (found.low, found.high) == pytest.approx((-missed, missed), rel=0.02)


def test_a_difference_that_few_samples_do_not_show_is_covered():
    # The candidate is blind to 12 % of the anomalies, which it ranks at random: its AUROC is 0.94, the champion's 1.
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        labels = (np.arange(50) < 10).astype(np.int8)
        champion = random.random(50) + labels
        candidate = random.random(50) + labels * (random.random(50) >= 0.12)
        found = paired_difference(auroc, candidate, champion, labels, seed=0)
        covered += found.low <= -0.06 <= found.high
    assert covered >= 92  # resamples alone cover 63


@pytest.mark.parametrize(("anomalies", "normals"), [(10, 50), (20, 20), (63, 20), (100, 100)])
def test_a_perfect_ranking_is_about_as_sure_as_newcombe_says(anomalies, normals):
    labels = np.repeat([1, 0], [anomalies, normals]).astype(np.int8)
    found = interval(auroc, np.arange(len(labels), 0.0, -1), labels, seed=0)

    def beyond(true):  # Newcombe 2006, method 5: how far 1 lies above `true`, less 1.96 deviations at `true`
        pairs = (anomalies + normals) / 2 - 1
        variance = true * (1 - true) * (1 + pairs * ((1 - true) / (2 - true) + true / (1 + true)))
        return (1 - true) - 1.96 * np.sqrt(variance / (anomalies * normals))

    assert (found.value, found.high) == (1, 1)
    assert 1 - found.low == pytest.approx(1 - brentq(beyond, 0.5, 1 - 1e-9), rel=0.3)


def test_a_kind_that_few_anomalies_do_not_show_is_covered():
    # The detector is blind to 12 % of the anomalies, which it ranks at random: its AUROC is 0.94.
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        labels = (np.arange(50) < 10).astype(np.int8)
        found = interval(auroc, random.random(50) + labels * (random.random(50) >= 0.12), labels, seed=0)
        covered += found.low <= 0.94 <= found.high
    assert covered >= 92  # resamples alone cover 68


def test_paired_difference_is_candidate_minus_champion():
    scores, labels = make()
    assert paired_difference(auroc, scores, -scores, labels, seed=0).low > 0


def test_clopper_pearson_by_hand():
    # 10 of 10: the lower end p solves p ** 10 = 0.025.
    rate = rate_interval(np.ones(10, bool))
    assert (rate.value, rate.high) == (1.0, 1.0)
    assert rate.low == pytest.approx(0.025**0.1)
    assert rate_interval(np.zeros(10, bool)).high == pytest.approx(1 - 0.025**0.1)
    assert rate_interval(np.zeros(0, bool)).value is None


def blocks(seed, normal=20, anomalous=6, windows=12):
    """Scores that are much alike within a block, their labels and blocks."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=normal + anomalous) + 1.5 * (np.arange(normal + anomalous) >= normal)
    scores = (centres[:, None] + 0.3 * random.normal(size=(len(centres), windows))).ravel()
    names = np.repeat(np.arange(len(centres)), windows)
    return scores, (names >= normal).astype(np.int8), names.astype(str)


def test_windows_of_a_block_say_one_thing():
    true = norm.cdf(1.5 / np.sqrt(2 * 1.09))
    made = [blocks(seed) for seed in range(60)]
    together = [interval(auroc, *one[:2], seed=0, groups=one[2]) for one in made]
    apart = [interval(auroc, *one[:2], seed=0) for one in made]
    assert np.mean([one.low <= true <= one.high for one in together]) >= 0.86  # 95 % of so few, less three deviations
    assert np.mean([one.low <= true <= one.high for one in apart]) < 0.6


def test_a_rate_of_blocks_is_as_sure_as_its_blocks():
    limit = norm.isf(0.1, scale=np.sqrt(1.09))
    covered = {"together": 0, "apart": 0}
    for seed in range(60):
        scores, labels, names = blocks(seed)
        hits, own = (scores > limit)[labels == 0], names[labels == 0]
        for name, found in (("together", rate_interval(hits, groups=own)), ("apart", rate_interval(hits))):
            covered[name] += found.low <= 0.1 <= found.high
    assert covered["together"] >= 52
    assert covered["apart"] < 36


def test_groups_without_a_hit_do_not_tell_whether_hits_come_together():
    # A tenth of all groups is hits throughout, and of 10 groups of 50 none is.
    names = np.repeat(np.arange(10), 50).astype(str)
    none, all_ = (rate_interval(np.full(500, hit), groups=names) for hit in (False, True))
    assert (none.high, all_.low) == pytest.approx((1 - 0.025**0.1, 0.025**0.1))
    assert rate_interval(names == "3", groups=names).high == pytest.approx(0.445, abs=0.001)  # as 1 of 10
    # Nor does a single one, and a false alarm more narrows nothing.
    assert rate_interval(np.arange(500) == 7, groups=names).high > none.high
    # Of hits in every group, as many in each, none come together.
    spread = rate_interval(np.arange(500) % 10 == 0, groups=names)
    assert 0.06 < spread.low < spread.high < 0.15
    # Of one large group and nine of a single sample, hardly more than one is told.
    assert rate_interval(np.zeros(500, bool), groups=np.maximum(np.arange(500) - 490, 0).astype(str)).high > 0.95


def test_a_rate_of_groups_that_alarm_as_one_is_covered():
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        alarms = (random.random((10, 50)) < random.beta(0.05, 0.95, size=(10, 1))).ravel()
        found = rate_interval(alarms, groups=np.repeat(np.arange(10), 50).astype(str))
        covered += found.low <= 0.05 <= found.high
    assert covered >= 92


def test_groups_of_one_sample_each_change_nothing():
    scores, labels = make()
    names = np.arange(len(labels)).astype(str)[::-1]
    assert interval(auroc, scores, labels, seed=0, groups=names) == interval(auroc, scores, labels, seed=0)
    assert rate_interval(scores > 1, groups=names) == rate_interval(scores > 1)


def test_of_a_single_group_nothing_is_known_and_overlapping_windows_are_fewer():
    scores, labels, names = blocks(0, anomalous=1)
    found = interval(auroc, scores, labels, seed=0, groups=names)
    assert (found.low, found.high) == (0, 1)
    assert paired_difference(auroc, scores, scores + labels, labels, seed=0, groups=names).low == -1
    once = rate_interval(np.zeros(20, bool))
    assert rate_interval(np.zeros(200, bool), overlap=10).high == once.high


def test_few_anomalies_without_a_group_are_few_groups():
    true, covered = norm.cdf(1.5 / np.sqrt(2)), 0
    for seed in range(60):
        labels = (np.arange(63) < 3).astype(np.int8)
        scores = np.random.default_rng(seed).normal(size=63) + 1.5 * labels
        found = interval(auroc, scores, labels, seed=0)
        covered += found.low <= true <= found.high
    assert covered >= 50  # 95 % of so few, less three deviations; resamples alone cover 42


def test_of_a_single_anomaly_nothing_is_known():
    scores, labels = np.arange(40.0), (np.arange(40) == 39).astype(np.int8)
    found = interval(auroc, scores, labels, seed=0)
    assert (found.value, found.low, found.high) == (1, 0, 1)
    assert paired_difference(auroc, scores, scores, labels, seed=0).low == -1
