import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models import nearest, visiting
from components.models.closest import smallest
from components.models.nearest import Bank


@pytest.fixture(autouse=True)
def cut_small_banks(monkeypatch):
    monkeypatch.setattr(nearest, "_CUT_FROM", 100)


def drawn(count, width, *, seed=0, clusters=12):
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 6, (clusters, width))
    return (centres[random.integers(clusters, size=count)] + random.normal(size=(count, width))).astype(np.float32)


def brute(patches, queries):
    return np.linalg.norm(queries[:, None].astype(float) - patches[None].astype(float), axis=2)


@pytest.mark.parametrize("patches", [50, 99, 100, 1500])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_neighbours_are_those_of_brute_force(patches, k):
    bank, queries = drawn(patches, 10), drawn(300, 10, seed=1)
    exact = brute(bank, queries)
    distances, places = Bank(bank).nearest(queries, neighbours=k)
    assert np.allclose(distances, np.sort(exact, axis=1)[:, :k], rtol=1e-5, atol=1e-5)
    assert np.allclose(np.take_along_axis(exact, places, axis=1), distances, rtol=1e-5, atol=1e-5)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert all(len(set(row)) == k for row in places.tolist())
    assert np.array_equal(Bank(bank).distances(queries, neighbours=k), distances.mean(axis=1))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_cells_are_exact_whatever_the_shape_of_the_data(data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    width, patches = data.draw(st.integers(1, 120)), data.draw(st.integers(100, 400))
    spread, shift = data.draw(st.sampled_from([0.0, 0.01, 1.0, 30.0])), data.draw(st.sampled_from([0, 100]))
    k = data.draw(st.integers(1, 12))
    random = np.random.default_rng(seed)
    centres = random.normal(0, spread, (7, width)) + shift
    bank, queries = (
        (centres[random.integers(7, size=n)] + random.normal(size=(n, width))).astype(np.float32) for n in (patches, 60)
    )
    exact = np.sort(brute(bank, queries), axis=1)[:, :k]
    assert np.allclose(Bank(bank).nearest(queries, neighbours=k)[0], exact, rtol=1e-4, atol=1e-3)


def test_rounding_hides_no_patch_from_queries_that_lie_along_the_sketched_axes():
    random = np.random.default_rng(0)
    axes, width, count = 46, 60, 1000
    along, beside = random.normal(0, 3, (count, axes)), random.uniform(0.2, 2, count)
    plain = np.zeros((count, width))
    plain[:, :axes], plain[:, axes] = along, beside
    mirrored = plain * np.where(np.arange(width) == axes, -1, 1)  # so that no axis leans to what is beside them
    queries = plain + np.pad(random.normal(0, 0.05, (count, axes)), ((0, 0), (0, width - axes)))
    queries[:, axes] = 4e-4 * np.linalg.norm(along, axis=1) * random.uniform(0.1, 2, count)
    # Each query's nearest patch is beside the axes; another one along them is farther by less than what is rounded.
    apart = np.linalg.norm(queries - plain, axis=1) * (1 + random.uniform(2e-5, 1e-3, count))
    way = np.pad(random.normal(size=(count, axes)), ((0, 0), (0, width - axes)))
    others = queries + way * (apart / np.linalg.norm(way, axis=1))[:, None]
    bank = np.concatenate([plain, mirrored, others]).astype(np.float32)
    asked = queries.astype(np.float32)
    exact = np.concatenate([brute(bank, some).min(axis=1) for some in np.array_split(asked, 20)])
    assert np.allclose(Bank(bank).distances(asked, neighbours=1), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("patches", [60, 5000])
@pytest.mark.parametrize("k", [1, 5])
def test_a_patch_has_the_same_bits_in_any_batch(patches, k):
    bank, queries = Bank(drawn(patches, 20)), drawn(600, 20, seed=7)
    whole = bank.nearest(queries, neighbours=k)
    for size in (7, 64):
        parts = [bank.nearest(queries[start : start + size], neighbours=k) for start in range(0, 600, size)]
        assert np.array_equal(np.concatenate([d for d, _ in parts]), whole[0])
        assert np.array_equal(np.concatenate([p for _, p in parts]), whole[1])


def test_of_patches_that_are_as_near_the_same_one_is_taken_in_any_batch():
    bank = Bank(np.concatenate([drawn(600, 4), drawn(600, 4)]))
    queries = drawn(300, 4, seed=7)
    whole = bank.nearest(queries, neighbours=3)[1]
    parts = [bank.nearest(queries[start : start + 7], neighbours=3)[1] for start in range(0, 300, 7)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_values_far_from_zero_lose_nothing():
    random = np.random.default_rng(0)
    patches, queries = (random.normal(1000, 1, (n, 20)).astype(np.float32) for n in (150, 30))
    exact = np.sort(brute(patches, queries), axis=1)
    for k in (1, 3, 150):
        assert np.allclose(Bank(patches).distances(queries, neighbours=k), exact[:, :k].mean(axis=1), rtol=1e-4)
    assert Bank(patches).distances(patches, neighbours=1).max() == 0


@pytest.mark.parametrize("patches", [30, 300])
def test_equal_patches_are_each_a_neighbour(patches):
    bank = Bank(np.full((patches, 4), 2.5, np.float32))
    distances, places = bank.nearest(np.full((3, 4), 3.5, np.float32), neighbours=6)
    assert (distances == 2).all()
    assert all(len(set(row)) == 6 for row in places.tolist())


@pytest.mark.parametrize("patches", [1, 5, 120])
def test_more_neighbours_than_patches_are_all_patches(patches):
    distances, places = Bank(drawn(patches, 3)).nearest(drawn(4, 3, seed=1), neighbours=1000)
    assert distances.shape == places.shape == (4, patches)
    assert (np.sort(places, axis=1) == np.arange(patches)).all()


def test_no_queries_have_no_neighbours():
    distances, places = Bank(drawn(120, 3)).nearest(np.empty((0, 3), np.float32), neighbours=2)
    assert distances.shape == places.shape == (0, 2)


@pytest.mark.parametrize("patches", [np.empty((0, 3), np.float32), np.array([[1.0, np.nan]], np.float32)])
def test_a_bank_of_nothing_or_of_no_numbers_is_refused(patches):
    with pytest.raises(ValueError, match="finite values"):
        Bank(patches)


@pytest.mark.parametrize("patches", [90, 6000])
def test_a_query_that_is_no_number_is_never_near(patches):
    queries = drawn(5, 3, seed=2)
    queries[2, 0] = np.nan
    found = Bank(drawn(patches, 3)).distances(queries, neighbours=1)
    assert np.isnan(found).tolist() == [False, False, True, False, False]


def test_memory_does_not_grow_with_the_queries():
    bank = Bank(drawn(20_000, 8))
    bank.nearest(drawn(10, 8), neighbours=1)
    queries = drawn(60_000, 8, seed=4)
    tracemalloc.start()
    bank.nearest(queries, neighbours=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # every distance at once would be 4.8 GB


@pytest.mark.parametrize("k", [1, 2, 9, 40])
def test_the_smallest_of_long_rows_by_groups(k):
    values = np.random.default_rng(0).integers(0, 500, (20, 3001)).astype(np.float32)  # with ties
    found = np.take_along_axis(values, smallest(values, k), axis=1)
    assert np.array_equal(np.sort(found, axis=1), np.sort(values, axis=1)[:, :k])
    values[4] = np.nan
    assert smallest(values, k).shape == (20, k)


def test_what_cannot_be_kept_compiled_is_compiled_each_time(monkeypatch):
    def njit(**options):
        if "cache" in options:
            raise RuntimeError("no locator available")
        return lambda function: function

    monkeypatch.setattr(visiting, "njit", njit)
    assert visiting._compiled(abs)(-1) == 1
