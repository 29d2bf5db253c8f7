import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models import cells, nearest, screen
from components.models.coreset import k_centres
from components.models.nearest import Bank
from components.models.screen import Screen


def screened(points, queries, k):
    places, squared = Screen(-2 * points, np.einsum("mc,mc->m", points, points)).nearest(queries, k)
    exact = ((queries[:, None].astype(float) - points[None]) ** 2).sum(axis=2)
    return places, squared, exact


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_neighbour_is_ever_ruled_out(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    width, count, k = data.draw(st.integers(1, 70)), data.draw(st.integers(40, 400)), data.draw(st.integers(1, 9))
    scale = 10.0 ** data.draw(st.integers(-6, 6))
    spread = data.draw(st.sampled_from([0.0, 1.0, 20.0]))  # of clusters: far from zero, bf16 knows least
    centres = random.normal(0, spread, (5, width))
    points, queries = (
        (scale * (centres[random.integers(5, size=n)] + random.normal(size=(n, width)))).astype(np.float32)
        for n in (count, 50)
    )
    places, squared, exact = screened(points, queries, k)
    assert np.allclose(squared, np.sort(exact, axis=1)[:, :k], rtol=1e-4, atol=0)
    assert np.allclose(np.take_along_axis(exact, places, axis=1), squared, rtol=1e-4, atol=0)
    assert all(len(set(row)) == k for row in places.tolist())


def test_bounds_are_below_and_close():
    random = np.random.default_rng(0)
    points, queries = (random.normal(size=(n, 90)).astype(np.float32) for n in (600, 40))
    _, _, exact = screened(points, queries, 1)
    one = Screen(-2 * points, np.einsum("mc,mc->m", points, points))
    memory = torch.empty((40, 600), dtype=torch.bfloat16)
    squares = np.einsum("qc,qc->q", queries, queries)
    bits = one._bounds(queries, squares, np.sqrt(squares), memory)
    bounds = (bits.astype(np.uint16).astype(np.uint32) << 16).view(np.float32)
    assert (bounds <= exact * (1 + 2**-7)).all()
    assert (exact - bounds).max() < 4 * screen._ROUNDED * 90


def test_equal_points_and_one_that_is_asked_for():
    points = np.full((700, 6), 0.3, np.float32)
    places, squared, _ = screened(points, np.concatenate([points[:1], points[:1] + 1]), 4)
    assert np.allclose(squared, [[0] * 4, [6] * 4])
    assert all(len(set(row)) == 4 for row in places.tolist())


def test_a_query_that_is_no_number_disturbs_no_other():
    random = np.random.default_rng(0)
    points, queries = (random.normal(size=(n, 20)).astype(np.float32) for n in (600, 5))
    clean = screened(points, queries, 2)[0]
    queries[3] = np.nan
    places, squared, _ = screened(points, queries, 2)
    assert np.array_equal(np.delete(places, 3, axis=0), np.delete(clean, 3, axis=0))
    assert np.isnan(squared[3]).all()


@pytest.mark.parametrize("k", [1, 3])
def test_machines_with_and_without_tiles_agree(monkeypatch, k):
    random = np.random.default_rng(0)
    points, queries = (random.normal(size=(n, 30)).astype(np.float32) for n in (1500, 200))
    monkeypatch.setattr(nearest, "_CUT_FROM", 100)
    found = []
    for able in (False, True):
        monkeypatch.setattr(cells, "has_tiles", lambda able=able: able)
        found.append(Bank(points).nearest(queries, neighbours=k))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_the_coreset_is_the_same_with_and_without_tiles(monkeypatch):
    points = np.random.default_rng(0).normal(size=(6000, 16)).astype(np.float32)
    found = []
    for able in (False, True):
        monkeypatch.setattr(cells, "has_tiles", lambda able=able: able)
        found.append(k_centres(points, count=1500, rng=np.random.default_rng(1)))
    assert np.array_equal(found[0].chosen, found[1].chosen)
    assert np.array_equal(found[0].distances, found[1].distances)
