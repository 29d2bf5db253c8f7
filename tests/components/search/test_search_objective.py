"""The objective, and when the default configuration is replaced."""

import numpy as np
import pytest
from numpy.typing import NDArray

from components.core.errors import ModelError, NotEnoughDataError
from components.search.objective import better_beyond_error, objective

LABELS = np.array([0, 0, 0, 0, 1, 1], dtype=np.int8)


def test_auroc_by_hand() -> None:
    # Of 4 x 2 pairs: 5 against 1, 2, 3, 4 all in order; 3 above 1, 2, level with 3, below 4: 4 + 2.5 of 8.
    value, low, high = objective([1, 2, 3, 4, 5, 3], LABELS, seed=0)
    assert value == 6.5 / 8
    assert low < value < high


def test_interval_narrows_with_samples_and_is_the_seeds_own() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for size in (20, 320):
        labels = np.repeat([0, 1], size)
        scores = rng.normal(size=2 * size) + labels
        _, low, high = objective(scores, labels, seed=1)
        assert objective(scores, labels, seed=1) == objective(scores, labels, seed=1)
        widths.append(high - low)
    # The error falls with the root of the count: four times for sixteen times the samples.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.4)


def test_all_right_is_one_without_error() -> None:
    value, low, high = objective([1, 2, 3, 4, 8, 9], LABELS, seed=0)
    assert (value, high) == (1, 1)
    assert low < 0.6  # of two anomalies little is known


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_the_detectors_fault(bad: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        objective([1, 2, 3, 4, 5, bad], LABELS, seed=0)


def test_too_few_scores_are_the_detectors_fault() -> None:
    with pytest.raises(ModelError, match=r"\(3,\) scores came for \(6,\)"):
        objective([1, 2, 3], LABELS, seed=0)


def test_one_class_alone_measures_nothing() -> None:
    with pytest.raises(NotEnoughDataError, match="0 anomalous and 2 normal"):
        objective([1, 2], [0, 0], seed=0)


def test_better_only_beyond_the_error_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    base = rng.normal(size=120) + labels
    much = base + 2 * labels
    candidates = [base, base + rng.normal(size=120) * 0.05, much]
    assert better_beyond_error(candidates, base, labels, seed=0).tolist() == [False, False, True]
    assert not better_beyond_error([base], much, labels, seed=0).any()
    assert not len(better_beyond_error([], base, labels, seed=0))


def test_nothing_beats_a_perfect_default() -> None:
    perfect = np.array([1, 2, 3, 4, 8, 9])
    assert not better_beyond_error([perfect * 10], perfect, LABELS, seed=0).any()


def test_strangers_ask_for_more_and_twins_and_the_hopeless_do_not() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 40)
    base = rng.normal(size=80) + labels
    near = np.argsort(base)
    found = {"alone": 0, "twins": 0, "nearly the default": 0, "hopeless": 0, "strangers": 0}
    for shift in np.linspace(0, 1.2, 13):
        better = base + labels * shift + 0.3 * rng.normal(size=80)
        strangers = [rng.normal(size=80) + labels for _ in range(30)]
        others = {
            "alone": [],
            "twins": [better] * 30,
            "nearly the default": [_worse_by_one(base, near, place) for place in range(30)],
            "hopeless": [one - 3 * labels for one in strangers],
            "strangers": strangers,
        }
        for name, some in others.items():
            found[name] += better_beyond_error([better, *some], base, labels, seed=0)[0]
    strangers_found = found.pop("strangers")
    assert len(set(found.values())) == 1
    assert 0 < strangers_found < found["alone"] < 13


def _worse_by_one(scores: NDArray[np.float64], rising: NDArray[np.intp], place: int) -> NDArray[np.float64]:
    """The scores with one anomaly that lies above a normal sample put below it, if there is one at that place."""
    changed, (low, high) = scores.copy(), rising[place : place + 2]
    if low < 40 <= high:
        changed[[low, high]] = scores[[high, low]]
    return changed


@pytest.mark.parametrize(("images", "copies", "block"), [(8, 4, 1), (20, 2, 1), (100, 1, 10)])
def test_what_belongs_together_counts_as_one(images: int, copies: int, block: int) -> None:
    """Equal detectors; an image and what was drawn on it share one noise, the images of a block another."""
    rng = np.random.default_rng(images)
    image = np.r_[np.arange(images), np.tile(np.arange(images), copies)]
    labels, groups = np.repeat([0, 1], [images, images * copies]), (image // block).astype(str)
    replaced = {"together": 0, "by image": 0}
    for search in range(60):
        every = [
            1.2 * labels
            + rng.normal(size=(images, 1))[image, 0]
            + (block > 1) * rng.normal(size=(images, 1))[image // block, 0]
            + 0.3 * rng.normal(size=len(labels))
            for _ in range(9)
        ]
        ways = {"together": groups} | ({"by image": image.astype(str)} if block > 1 else {})
        for name, together in ways.items():
            replaced[name] += better_beyond_error(every[1:], every[0], labels, seed=search, groups=together).any()
    # 3 are expected; 8 are a three-sigma excess.
    assert replaced["together"] <= 8
    assert block == 1 or replaced["by image"] > 8


def test_of_a_single_group_nothing_is_known() -> None:
    labels = np.repeat([0, 1], [1, 30])
    base = np.r_[5.5, np.arange(30.0)]
    assert better_beyond_error([base * np.r_[0, np.ones(30)]], base, labels, seed=0, groups=None).sum() == 0
    assert better_beyond_error([labels], base, labels, seed=0, groups=np.full(31, "one")).sum() == 0


def test_false_replacements_stay_below_the_stated_rate() -> None:
    """Seven candidates that are the default with other noise, sixty searches."""
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 30)
    replaced = 0
    for search in range(60):
        signal = rng.normal(size=60) * 0.5 + labels
        base, *others = (signal + rng.normal(size=60) for _ in range(8))
        replaced += better_beyond_error(others, base, labels, seed=search).any()
    # 3 are expected; 8 are a three-sigma excess.
    assert replaced <= 8
