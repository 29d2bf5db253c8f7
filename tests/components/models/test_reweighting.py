"""PatchCore's weight, by hand and in the memory bank."""

import numpy as np

from components.models.nearest import Bank
from components.models.reweighting import weight


def test_equation_7_by_hand():
    bank = Bank(np.array([[0.0], [3.0], [9.0]], np.float32))
    # The patch at 1 is nearest to 0; around 0 are 0 and 3, at distances 1 and 2 from the patch.
    exact = 1 - np.exp(1) / (np.exp(1) + np.exp(2))
    assert np.isclose(weight(bank, np.array([1.0], np.float32), around=2), exact)


def test_large_distances_do_not_overflow():
    bank = Bank(np.array([[0.0], [10_000.0]], np.float32))
    assert weight(bank, np.array([-1.0], np.float32), around=2) == 1.0


def test_the_weight_of_the_highest_patch_scales_the_score_and_leaves_the_map(cases, fitted_once, listed):
    case = cases["memory-bank"]
    detector = case.make(reweight=4)
    detector.fit(listed(case.normal), seed=0)
    plain, weighed = fitted_once("memory-bank").score(case.fresh), detector.score(case.fresh)
    assert np.array_equal(plain.maps, weighed.maps)
    for image, before, after in zip(case.fresh, plain.image, weighed.image, strict=True):
        patches = detector._patches([image])[0]
        highest = patches[detector._distances(patches).argmax()]
        assert np.isclose(after, before * weight(detector._bank, highest, around=5))


def test_a_bank_of_one_patch_weighs_nothing(cases, listed):
    case = cases["memory-bank"]
    plain, weighed = (case.make(coreset_ratio=1e-6, augment="none", reweight=around) for around in (0, 4))
    for detector in (plain, weighed):
        detector.fit(listed(case.normal[:1]), seed=0)
    assert weighed.facts["centres"] == 1
    scores = weighed.score(case.fresh).image
    assert (scores > 0).all()
    assert np.array_equal(scores, plain.score(case.fresh).image)
