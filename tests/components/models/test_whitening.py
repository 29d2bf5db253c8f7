"""Components in their own deviation: how far a covariance is shrunk, and what that leaves of a sample's distance."""

import numpy as np
import pytest

from components.core.contracts import TableSchema
from components.models.on_table import training_windows
from components.models.whitening import MOST, whitening


@pytest.fixture
def rows():
    """``(40, 6)`` of columns that follow each other."""
    random = np.random.default_rng(0)
    return random.normal(size=(40, 2)) @ random.normal(size=(2, 6)) + 0.3 * random.normal(size=(40, 6))


def covariance(rows, overlap=1.0):
    """``(F, F)`` that the components are those of."""
    found = np.linalg.inv(whitening(rows, floor=0.0, overlap=overlap))
    return found.T @ found


def test_independent_samples_are_shrunk_as_scikit_learn_does(rows):
    from sklearn.covariance import ledoit_wolf

    np.testing.assert_allclose(covariance(rows), ledoit_wolf(rows)[0])


@pytest.mark.parametrize("times", [3, 8])
def test_samples_that_come_several_times_tell_no_more_than_once(rows, times):
    repeated = np.repeat(rows, times, axis=0)
    np.testing.assert_allclose(covariance(repeated, overlap=times), covariance(rows))
    assert not np.allclose(covariance(repeated), covariance(rows))


def test_where_hardly_anything_is_known_all_directions_count_alike(rows):
    shrunk = covariance(rows, overlap=1e6)
    np.testing.assert_allclose(shrunk, np.eye(6) * np.trace(shrunk) / 6, atol=1e-12)


@pytest.mark.parametrize(
    ("window", "stride", "limit", "overlap"),
    [(1, 1, 99, 1), (6, 6, 99, 1), (6, 2, 99, 3), (6, 2, 20, 1.5), (6, 2, 5, 1)],
)
def test_windows_overlap_as_the_schema_says_and_fewer_by_as_much_less(listed, window, stride, limit, overlap):
    samples = listed(np.zeros((40, window, 1)))
    schema = TableSchema(features=(), window=window, stride=stride)
    found = training_windows(samples, schema=schema, limit=limit, seed=0)
    assert found.overlap == overlap
    assert len(found.windows) == len(found.labels) == min(limit, 40)


@pytest.mark.parametrize("columns", [6, MOST + 8])
def test_what_is_0_in_training_is_a_component_of_its_own_and_changes_no_other(columns):
    rows = np.random.default_rng(0).normal(size=(60, columns))
    still = np.concatenate([rows, np.zeros((60, 1))], axis=1)
    for overlap in (1, 1e9):  # of which little, and nothing, is known
        found = whitening(still, floor=1e-4, overlap=overlap, gaps=1)
        assert np.array_equal(found[:-1, :-1], whitening(rows, floor=1e-4, overlap=overlap))
        assert not found[-1, :-1].any()
        assert not found[:-1, -1].any()
        assert 0.9 < found[-1, -1] <= 100 / rows.std()
