import numpy as np
import pytest

from components.models import coreset
from components.models.coreset import k_centres


def drawn(count, width, *, seed=0, clusters=8):
    random = np.random.default_rng(seed)
    centres = random.normal(0, 5, (clusters, width))
    return (centres[random.integers(clusters, size=count)] + random.normal(size=(count, width))).astype(np.float32)


def one_by_one(points, count, first):
    """Gonzalez' algorithm as it is written, in double precision."""
    points = points.astype(float)
    chosen, nearest = [first], np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.sort(chosen), nearest


@pytest.mark.parametrize(("total", "width", "count"), [(60, 2, 20), (700, 3, 300), (3000, 24, 900), (500, 1, 40)])
def test_rounds_choose_what_one_by_one_chooses(total, width, count):
    points = drawn(total, width)
    first = int(np.random.default_rng(5).integers(total))
    chosen, nearest = one_by_one(points, count, first)
    found = k_centres(points, count=count, rng=np.random.default_rng(5))
    assert np.array_equal(found.chosen, chosen)
    assert np.allclose(found.distances, nearest, rtol=1e-5, atol=1e-5)
    assert found.radius == found.distances.max()
    assert (found.distances[found.chosen] == 0).all()


def test_small_blocks_and_rounds_choose_the_same(monkeypatch):
    points = drawn(2000, 8)
    whole = k_centres(points, count=400, rng=np.random.default_rng(0))
    monkeypatch.setattr(coreset, "_ROWS", 77)
    monkeypatch.setattr(coreset, "_FEWEST", 5)
    monkeypatch.setattr(coreset, "_MOST", 9)
    cut = k_centres(points, count=400, rng=np.random.default_rng(0))
    assert np.array_equal(cut.chosen, whole.chosen)
    assert np.array_equal(cut.distances, whole.distances)


def test_the_seed_decides():
    points = drawn(1500, 6)
    found = [k_centres(points, count=100, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(found[0].chosen, found[1].chosen)
    assert np.array_equal(found[0].distances, found[1].distances)
    assert not np.array_equal(found[0].chosen, found[2].chosen)


def test_one_point_of_each_cluster_is_taken():
    random = np.random.default_rng(0)
    points = np.repeat(np.arange(5), 40)[:, None] * 100 + random.normal(size=(200, 3))
    found = k_centres(points.astype(np.float32), count=5, rng=np.random.default_rng(1))
    assert sorted(found.chosen // 40) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shift", [0, 1000])
def test_equal_patches_are_taken_once(shift):
    points = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0) + np.float32(shift)
    found = k_centres(points, count=20, rng=np.random.default_rng(0))
    assert sorted(found.chosen // 10) == [0, 1, 2]
    assert found.radius == 0


def test_constant_patches_leave_one():
    found = k_centres(np.full((50, 4), 3.3, np.float32), count=10, rng=np.random.default_rng(0))
    assert len(found.chosen) == 1
    assert found.radius == 0


@pytest.mark.parametrize("count", [4, 5, 1000])
def test_all_are_taken_where_the_count_allows(count):
    found = k_centres(drawn(4, 3), count=count, rng=np.random.default_rng(0))
    assert found.chosen.tolist() == [0, 1, 2, 3]
    assert found.distances.tolist() == [0, 0, 0, 0]


def test_one_patch_is_its_own_coreset():
    assert k_centres(np.zeros((1, 3), np.float32), count=1, rng=np.random.default_rng(0)).chosen.tolist() == [0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(wrong):
    points = drawn(30, 3)
    points[17, 1] = wrong
    for count in (5, 100):
        with pytest.raises(ValueError, match="not finite"):
            k_centres(points, count=count, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("points", "count"), [(np.empty((0, 3), np.float32), 5), (np.ones((4, 3), np.float32), 0)])
def test_nothing_to_choose_is_refused(points, count):
    with pytest.raises(ValueError, match="cannot be chosen"):
        k_centres(points, count=count, rng=np.random.default_rng(0))


def test_progress_ends_at_the_count():
    told = []
    k_centres(drawn(900, 4), count=90, rng=np.random.default_rng(0), progress=lambda *said: told.append(said))
    assert told[-1] == ("choosing patches", 90, 90)


def test_progress_ends_where_few_patches_differ():
    told = []
    points = np.repeat(drawn(5, 4), 20, axis=0)
    k_centres(points, count=90, rng=np.random.default_rng(0), progress=lambda *said: told.append(said))
    assert told[-1] == ("choosing patches", 90, 90)
