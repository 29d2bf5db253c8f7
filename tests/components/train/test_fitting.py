"""Fitting, and thresholds whose every score comes from a model that did not see the sample."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from components.core.contracts import Column, Modality, Scores, TableSchema
from components.core.errors import NotEnoughDataError
from components.core.subset import Subset
from components.models import registry
from components.train import fitting
from components.train.fitting import FOLDS, calibrate_cross, calibrate_split, fit, fold_count

SCHEMA = TableSchema(features=(Column(name="a", kind="numeric"), Column(name="b", kind="numeric")))
FAST = {"epochs": 1}


class Rows:
    """Windows of one row: sample i is named `i`, its first value is i."""

    def __init__(self, labels: Sequence[int]) -> None:
        self._labels = np.array(labels, dtype=np.int8)
        noise = np.random.default_rng(0).normal(size=len(labels))
        self._values = np.stack([np.arange(len(labels), dtype=np.float64), noise], axis=1)[:, None, :]

    @property
    def ids(self) -> list[str]:
        return [str(number) for number in range(len(self))]

    @property
    def labels(self) -> NDArray[np.int8]:
        return self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, indices: Sequence[int]) -> NDArray[np.float64]:
        return self._values[list(indices)]


def names(*groups: str) -> NDArray[np.str_]:
    return np.array(groups, dtype=np.str_)


@pytest.fixture
def fitted(monkeypatch):
    """Names of the samples that each fit saw, in order."""
    seen = []
    create = registry.create

    def watched(*args, **kwargs):
        detector = create(*args, **kwargs)
        original = detector.fit

        def note(samples, **options):
            seen.append(set(samples.ids))
            original(samples, **options)

        monkeypatch.setattr(detector, "fit", note)
        return detector

    monkeypatch.setattr(fitting.registry, "create", watched)
    return seen


def cross(samples: Rows, groups: NDArray[np.str_], rate: float | None = None, seed: int = 0):
    return calibrate_cross("deepsad", params=FAST, schema=SCHEMA, samples=samples, groups=groups, rate=rate, seed=seed)


def test_folds_hold_out_whole_groups(fitted):
    groups = np.repeat([f"block {number}" for number in range(7)], 4)
    samples = Rows([0] * 28)
    found = cross(samples, groups)
    assert len(fitted) == FOLDS
    held_out = [set(samples.ids) - seen for seen in fitted]
    assert sorted(name for fold in held_out for name in fold) == sorted(samples.ids)
    for fold in held_out:
        whole = {groups[int(name)] for name in fold}
        assert fold == {name for name in samples.ids if groups[int(name)] in whole}
    assert set(found.scores) == set(samples.ids)
    assert (found.calibration.method, found.calibration.samples) == ("cross", 28)
    assert found.calibration.false_alarm_rate == pytest.approx(1 / 29)
    assert found.calibration.threshold == max(found.scores.values())


def test_of_few_images_folds_hold_few_each_unless_a_fit_takes_minutes():
    for samples, folds in ((6, 20), (30, 20), (54, 18), (100, 10), (199, 5), (10_000, 5)):
        assert fold_count("memory-bank", samples) == folds
        assert fold_count("dinomaly", samples) == fold_count("deepsad", samples) == FOLDS


def test_anomalies_are_learnt_from_in_every_fold_and_never_calibrated_on(fitted):
    samples = Rows([0, 0, 0, 1, 0, 1])
    found = cross(samples, names("a", "b", "c", "c", "d", "e"))
    assert len(fitted) == 4  # four groups hold normal samples
    assert all({"3", "5"} <= seen for seen in fitted)
    assert set(found.scores) == {"0", "1", "2", "4"}


def test_the_same_seed_gives_the_same_folds_and_scores():
    samples, groups = Rows([0] * 12), np.array([str(number) for number in range(12)])
    assert cross(samples, groups) == cross(samples, groups)
    assert cross(samples, groups, seed=1) != cross(samples, groups)


def test_a_rate_that_the_samples_cannot_support_is_refused_with_the_count():
    samples, groups = Rows([0] * 12), np.array([str(number) for number in range(12)])
    with pytest.raises(NotEnoughDataError, match=r"0\.01 needs 99 normal calibration samples, there are 12"):
        cross(samples, groups, rate=0.01)
    detector = fit("deepsad", params=FAST, schema=SCHEMA, samples=samples, seed=0)
    with pytest.raises(NotEnoughDataError, match=r"needs 99 normal calibration samples, there are 12") as caught:
        calibrate_split(detector, samples=samples, rate=0.01, seed=0)
    assert "0.0769" in caught.value.hint  # 1 / 13
    assert calibrate_split(detector, samples=samples, rate=0.25, seed=0).calibration.false_alarm_rate == 0.25


def test_left_out_scores_are_kept_where_they_joined():
    class Memory:
        modality = Modality.TABLE
        left_out_scores = np.random.default_rng(1).normal(5, 0.1, 300)

        def score(self, batch):
            return Scores(image=batch[:, 0, 1])

    samples = Rows([0] * 50)
    joined = calibrate_split(Memory(), samples=samples, rate=1 / 200, seed=0)
    assert joined.left_out == tuple(Memory.left_out_scores)
    assert calibrate_split(Memory(), samples=samples, rate=1 / 20, seed=0).left_out == ()


def test_one_group_cannot_be_trained_on_and_calibrated_on():
    with pytest.raises(NotEnoughDataError, match="3 normal samples in 1 groups"):
        cross(Rows([0, 0, 0]), names("a", "a", "a"))


def test_without_normal_samples_nothing_is_fitted():
    with pytest.raises(NotEnoughDataError, match="no normal sample"):
        fit("deepsad", params=FAST, schema=SCHEMA, samples=Rows([1, 1]), seed=0)


def test_split_calibration_uses_normal_samples_alone():
    samples = Rows([0, 1] * 10)
    detector = fit("deepsad", params=FAST, schema=SCHEMA, samples=samples, seed=0)
    found = calibrate_split(detector, samples=samples, rate=None, seed=0)
    assert set(found.scores) == {str(number) for number in range(0, 20, 2)}
    normal = Subset(samples, np.arange(0, 20, 2))
    scores = detector.score(normal.take(range(10))).image
    assert found.calibration.threshold == pytest.approx(scores.max())
    assert found.calibration.samples == 10


class Noise:
    """Scores a sample by its noise, those of the last four by 20 and more."""

    modality = Modality.TABLE

    def score(self, batch):
        place, noise = batch[:, 0, 0], batch[:, 0, 1]
        return Scores(image=np.where(place >= 116, place - 96, noise))


def test_calibration_samples_far_beyond_the_others_are_counted_and_the_furthest_named():
    found = calibrate_split(Noise(), samples=Rows([0] * 120), rate=None, seed=0).calibration
    assert (found.outlying, found.furthest) == (4, ("119", "118", "117"))
    found = calibrate_split(Noise(), samples=Rows([0] * 116), rate=None, seed=0).calibration
    assert (found.outlying, found.furthest) == (0, ())


def test_progress_of_folds_ends():
    told, groups = [], np.array([str(number) for number in range(20)])
    calibrate_cross(
        "knn", params={}, schema=SCHEMA, samples=Rows([0] * 20), groups=groups, rate=None, seed=0,
        progress=lambda *said: told.append(said),
    )  # fmt: skip
    assert told[-1] == ("calibrating across folds", FOLDS, FOLDS)
