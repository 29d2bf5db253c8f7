import json
import shutil

import numpy as np
import pytest
from PIL import Image as Pictures

from benchmarks.zoo import Tried, choose, read, side

LABELS = np.array([0] * 40 + [1] * 40, np.int8)
RANKS = np.arange(80.0)
"""Scores that put every anomaly above every normal sample."""


def one(scores, seconds=1.0):
    normal, anomalous = scores[LABELS == 0], scores[LABELS == 1]
    value = (anomalous[:, None] > normal).mean()
    return Tried(float(value), seconds, scores, lambda _: scores)


@pytest.fixture
def poor():
    return np.random.default_rng(0).permutation(RANKS)


def test_the_default_is_kept_unless_another_is_better_beyond_its_error(poor):
    assert choose({"a": one(RANKS), "b": one(RANKS)}, LABELS, seed=0) == "a"
    slightly = RANKS.copy()
    slightly[[39, 40]] = slightly[[40, 39]]
    assert choose({"a": one(slightly), "b": one(RANKS)}, LABELS, seed=0) == "a"
    assert choose({"a": one(poor), "b": one(RANKS)}, LABELS, seed=0) == "b"


def test_of_equals_the_first_is_chosen_however_slow(poor):
    found = {"a": one(poor), "slow": one(RANKS, 9.0), "fast": one(RANKS, 2.0)}
    assert choose(found, LABELS, seed=0) == "slow"


def test_what_drawn_anomalies_flatter_is_measured_and_not_chosen(poor):
    assert choose({"memory-bank": one(poor), "padim": one(RANKS)}, LABELS, seed=0) == "memory-bank"


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train/good", 10), ("test/good", 2), ("test/hole", 3)):
        (tmp_path / part).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (40, 48, 3)).astype(np.uint8)
            Pictures.fromarray(pixels).save(tmp_path / part / f"{number}.png")
    return tmp_path


def test_validation_is_held_out_and_carries_drawn_anomalies(folder):
    data = read(folder, share=0.7, seed=0)
    assert len(data.train) == 7
    held = [name for name in data.validation.ids if not name.startswith("synthetic:")]
    assert len(held) == 3
    assert not set(held) & set(data.train.ids)
    assert data.validation.labels.sum() == 32  # as many as a search draws at least
    assert data.test.labels.tolist() == [0, 0, 1, 1, 1]


def test_images_in_folders_of_a_kind_are_tested_and_other_files_are_not(folder):
    (folder / "test" / "hole" / "deep").mkdir()
    (folder / "test" / "hole" / "2.png").rename(folder / "test" / "hole" / "deep" / "2.png")
    (folder / "test" / "hole" / "notes.txt").write_text("no image")
    data = read(folder, share=0.7, seed=0)
    assert data.test.labels.tolist() == [0, 0, 1, 1, 1]
    assert len(data.test.take([4])) == 1


def test_test_is_scored_after_all_is_validated_and_what_does_not_fit_is_named(folder):
    data, told = read(folder, share=0.7, seed=0), []

    def fit(name, train):
        def score(samples):
            told.append((name, len(train), samples is data.test))
            return np.arange(float(len(samples)))

        return score

    found = side(("memory-bank", "gaussian", "dinomaly"), fit, data, seconds=100.0, seed=0)
    # What was chosen has been fitted again, on all ten normal images.
    assert told == [
        ("memory-bank", 7, False),
        ("gaussian", 7, False),
        ("memory-bank", 10, True),
        ("gaussian", 7, True),
    ]
    assert found["chosen"] == "memory-bank"
    assert found["auroc"] == found["hindsight"] == 1.0
    assert found["left_out"][0].startswith("dinomaly: about ")


def test_of_a_test_with_one_class_there_is_no_figure(folder):
    shutil.rmtree(folder / "test" / "good")
    data = read(folder, share=0.7, seed=0)
    found = side(
        ("memory-bank",), lambda *_: lambda samples: np.arange(float(len(samples))), data, seconds=100.0, seed=0
    )
    assert found["auroc"] is found["hindsight"] is found["detectors"]["memory-bank"]["test_auroc"] is None
    assert json.dumps(found, allow_nan=False)
