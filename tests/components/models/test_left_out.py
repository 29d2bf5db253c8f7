"""Training images scored by what a memory holds of the others."""

import numpy as np
import pytest

from components.core.ports import LeftOut
from components.models import registry
from components.models.catalogue import DETECTORS
from components.models.left_out import IMAGES, distances_to_others, left_out_scores
from components.models.nearest import Bank
from components.models.sampling import Sampled


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_an_image_is_compared_with_what_others_gave():
    # Image 0 has patches 0 and 1, image 1 has 3, image 2 has 10; all of them are kept.
    found = Sampled(patches=column(0, 1, 3, 10), images=np.array([0, 0, 1, 2]), plain=np.ones(4, bool), read=3, seen=4)
    scores = left_out_scores(Bank(found.patches), found.images, found, neighbours=1, score=np.max)
    assert scores.tolist() == [3, 2, 7]


def test_without_another_image_there_is_nothing_to_tell():
    found = Sampled(patches=column(0, 1), images=np.array([0, 0]), plain=np.ones(2, bool), read=1, seen=2)
    assert left_out_scores(Bank(found.patches), found.images, found, neighbours=1, score=np.max) is None


@pytest.mark.parametrize("neighbours", [1, 3])
def test_distances_are_those_of_a_bank_without_the_images_own(neighbours):
    random = np.random.default_rng(0)
    bank, queries = (random.normal(size=(count, 4)).astype(np.float32) for count in (60, 20))
    origins = np.where(np.arange(60) < 50, 0, 1)  # most of the nearest are the first image's own
    for image in (0, 1):
        exact = Bank(bank[origins != image]).distances(queries, neighbours=neighbours)
        images = np.full(20, image)
        found = distances_to_others(Bank(bank), queries, images=images, origins=origins, neighbours=neighbours)
        assert np.allclose(found, exact)


def test_no_bank_is_made_for_an_image_whose_own_patches_are_all_kept(monkeypatch):
    random = np.random.default_rng(0)
    every = (random.normal(size=(3, 1, 4)) + 0.01 * random.normal(size=(3, 100, 4))).astype(np.float32)
    bank, origins = Bank(every.reshape(-1, 4)), np.repeat(np.arange(3), 100)
    exact = Bank(bank.patches[origins != 0]).distances(every[0], neighbours=5)
    monkeypatch.setattr(Bank, "__init__", lambda *_: pytest.fail("to cut a large bank into cells takes seconds"))
    found = distances_to_others(bank, every[0], images=np.zeros(100, int), origins=origins, neighbours=5)
    assert np.allclose(found, exact)


def test_left_out_scores_are_like_those_of_new_images_and_are_not_saved(cases, fitted_once, tmp_path):
    detector = fitted_once("memory-bank")
    assert isinstance(detector, LeftOut)
    training, new = detector.left_out_scores, detector.score(cases["memory-bank"].fresh).image
    assert len(training) == len(cases["memory-bank"].normal)
    assert 0.8 < np.median(training) / np.median(new) < 1.4
    assert np.median(detector.score(cases["memory-bank"].normal).image) < np.median(training)
    detector.save(tmp_path / "model")
    assert registry.load(tmp_path / "model").left_out_scores is None


def test_one_image_and_weighed_scores_have_none(cases, listed):
    case = cases["memory-bank"]
    one, weighed = case.make(), case.make(reweight=2)
    one.fit(listed(case.normal[:1]), seed=0)
    weighed.fit(listed(case.normal), seed=0)
    assert one.left_out_scores is None
    assert weighed.left_out_scores is None


def test_the_registry_says_how_many_there_are():
    assert DETECTORS["memory-bank"].left_out == IMAGES
    assert registry.scored_left_out("memory-bank", {}, samples=7) == 7
    assert registry.scored_left_out("memory-bank", {"reweight": 4}, samples=7) == 0
    assert registry.scored_left_out("gaussian", {}, samples=7) == 0
