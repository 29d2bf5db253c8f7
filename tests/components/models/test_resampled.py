"""Scores by halves of a bank."""

import numpy as np

from components.models.nearest import Bank
from components.models.resampled import HALVES, Halves


def test_halves_come_in_pairs_without_a_common_centre():
    masks = Halves(Bank(np.zeros((9, 1), np.float32)), seed=0).masks
    assert masks.shape == (HALVES, 9)
    assert (masks[::2] != masks[1::2]).all()
    assert set(masks.sum(axis=1)) == {4, 5}
    assert len({mask.tobytes() for mask in masks}) == HALVES


def test_distances_are_those_of_a_bank_of_the_half():
    random = np.random.default_rng(0)
    bank, queries = (random.normal(size=(count, 3)).astype(np.float32) for count in (100, 10))
    halves = Halves(Bank(bank), seed=3)
    for neighbours in (1, 4):
        found = halves.distances(queries, neighbours=neighbours)
        exact = [Bank(bank[mask]).distances(queries, neighbours=neighbours) for mask in halves.masks]
        assert np.allclose(found, exact)


def test_a_patch_that_one_centre_alone_is_near_to_is_less_certain():
    bank = np.concatenate([np.zeros((50, 2)), [[10, 0]]]).astype(np.float32)
    halves = Halves(Bank(bank), seed=0)
    alone, among = (halves.distances(np.array([place], np.float32), neighbours=1) for place in ([10, 1], [0, 1]))
    assert among.std() == 0
    assert sorted(set(alone.ravel().round(3))) == [1, 10.05]


def test_a_bank_of_one_centre_has_no_spread():
    found = Halves(Bank(np.zeros((1, 2), np.float32)), seed=0).distances(np.ones((1, 2), np.float32), neighbours=1)
    assert np.allclose(found, np.sqrt(2))


def test_deviation_is_that_of_the_score_between_banks(cases, listed):
    """Banks of other images of the same kind give scores that differ by about what one bank says of itself."""
    case = cases["memory-bank"]
    said, scores = [], []
    for part in (case.normal[:9], case.normal[9:], case.normal[4:13]):
        detector = case.make(coreset_ratio=0.5)
        detector.fit(listed(part), seed=0)
        found = detector.score(case.fresh)
        said.append(found.uncertainty.mean())
        scores.append(found.image)
    between = np.std(scores, axis=0, ddof=1).mean()
    assert 0.2 < np.mean(said) / between < 5
