"""Drawn anomalies: the seed's own, visible, named for life, and not all easy."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from components.core.contracts import Column, TableSchema
from components.core.ports import Batch, Image, Samples, Windows
from components.core.seeds import generator
from components.search import synthetic_tables
from components.search.objective import better_beyond_error
from components.search.synthetic import (
    ENOUGH,
    LEAST,
    ON_AN_IMAGE,
    JoinedSamples,
    SyntheticSamples,
    drawn_on,
    is_synthetic,
    with_synthetic,
)
from components.search.synthetic_images import Mask, draw_defect, perlin


class Held:
    """Samples in memory."""

    def __init__(self, data: list[Image] | Windows, *, labels: list[int] | None = None) -> None:
        self.data = data
        self.ids = [f"sha{number}" for number in range(len(data))]
        self.labels: NDArray[np.int8] = np.array(labels or [0] * len(data), dtype=np.int8)

    def __len__(self) -> int:
        return len(self.data)

    def take(self, indices: list[int]) -> Batch:
        return self.data[list(indices)] if isinstance(self.data, np.ndarray) else [self.data[i] for i in indices]


def parts(count: int, *, shape: tuple[int, int] = (120, 160)) -> list[Image]:
    """Grey discs on a bright ground with a little noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    disc = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < min(shape) / 3
    ground = np.where(disc, 90, 210)[..., None] + rng.normal(0, 4, (count, *shape, 1))
    return [np.repeat(np.clip(image, 0, 255).astype(np.uint8), 3, axis=2) for image in ground]


def flow(count: int, *, rows: int = 20) -> Windows:
    """Three columns that follow each other, one category."""
    rng = np.random.default_rng(1)
    first = rng.normal(50, 5, (count, rows, 1))
    third = 3 * first + rng.normal(0, 1, first.shape)
    return np.concatenate([first, rng.normal(0, 1, first.shape), third, rng.integers(0, 3, first.shape)], axis=2)


SCHEMA = TableSchema(
    features=(
        *(Column(name=name, kind="numeric") for name in "abc"),
        Column(name="d", kind="categorical", categories=("x", "y", "z")),
    )
)


def drawn(images: list[Image], *, seed: int) -> list[tuple[Image, Mask]]:
    """Each with a defect, and where it is."""
    donors = [*images[1:], images[0]]
    return [
        draw_defect(image, donor=donor, rng=generator(seed, number))
        for number, (image, donor) in enumerate(zip(images, donors, strict=True))
    ]


def disturbed(windows: Windows, *, seed: int = 2) -> Windows:
    """Each as validation has it."""
    taken = SyntheticSamples(Held(windows), seed=seed, schema=SCHEMA).take(range(len(windows)))
    assert isinstance(taken, np.ndarray)
    return taken


@pytest.mark.parametrize("shape", [(120, 160), (33, 400), (900, 700)])
def test_every_image_is_changed_within_its_mask_alone(shape: tuple[int, int]) -> None:
    images = parts(6, shape=shape)
    before = [image.copy() for image in images]
    for original, (changed, mask) in zip(images, drawn(images, seed=3), strict=True):
        assert changed.dtype == np.uint8
        assert changed.shape == original.shape
        assert mask.any()
        assert mask.mean() < 0.2
        assert np.array_equal(changed[~mask], original[~mask])
        assert np.abs(changed[mask].astype(int) - original[mask].astype(int)).mean() >= 6
    assert all(np.array_equal(old, new) for old, new in zip(before, images, strict=True))


def test_a_blank_image_gets_a_defect_too() -> None:
    for level in (0, 128, 255):
        ((changed, mask),) = drawn([np.full((64, 64, 3), level, dtype=np.uint8)], seed=0)
        assert np.abs(changed[mask].astype(int) - level).mean() > 6


@pytest.mark.parametrize("side", [8, 16])
def test_the_smallest_images_get_defects(side: int) -> None:
    tiny = parts(3, shape=(side, side + 3))
    for seed in range(20):
        assert all(mask.any() for _, mask in drawn(tiny, seed=seed))


def test_grey_stays_grey() -> None:
    assert all((changed == changed[..., :1]).all() for changed, _ in drawn(parts(8), seed=1))


def test_defects_are_of_all_sizes() -> None:
    shares = np.array([mask.mean() for _, mask in drawn(parts(60, shape=(400, 400)), seed=0)])
    assert (shares < 0.002).mean() > 0.15
    assert (shares > 0.01).mean() > 0.2


def test_small_defects_stand_out_from_the_noise_of_their_image() -> None:
    rng = np.random.default_rng(0)
    for deviation, unit in ((2, 6.0), (20, 19.0)):  # what neighbours differ by: 0.95 deviations in the median, or 6
        grey = np.clip(rng.normal(128, deviation, (120, 200, 200, 1)), 0, 255).astype(np.uint8)
        images = list(np.repeat(grey, 3, axis=3))
        small = [
            np.abs(changed[mask].astype(int) - image[mask]).max()
            for image, (changed, mask) in zip(images, drawn(images, seed=0), strict=True)
            if mask.sum() < 24  # fewer pixels than any cut or scar has
        ]
        assert len(small) > 5
        assert 2 * unit - 2 <= min(small) < max(small) <= 10 * unit + 2


def test_the_same_seed_draws_the_same_and_another_another() -> None:
    first, same, other = (SyntheticSamples(Held(parts(3)), seed=seed).take(range(3)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_perlin_noise_is_smooth_and_zero_at_the_grid() -> None:
    noise = perlin((64, 64), cells=(4, 4), rng=np.random.default_rng(0))
    assert np.abs(noise[::16, ::16]).max() < 1e-12
    assert np.abs(np.diff(noise, axis=0)).max() < 0.2
    assert 0.2 < np.abs(noise).max() <= 1


def test_every_window_is_changed_in_few_columns_and_none_in_place() -> None:
    windows = flow(60)
    before = windows.copy()
    changed = disturbed(windows)
    assert np.array_equal(windows, before)
    columns = (changed != windows).any(axis=1).sum(axis=1)
    assert columns.min() >= 1
    assert columns.max() <= 2
    assert np.isin(changed[..., 3], [0, 1, 2, 3]).all()


def test_shifts_are_of_the_normal_scale() -> None:
    windows = flow(200, rows=1)
    changed = disturbed(windows)
    size = (np.abs(changed - windows) / windows.reshape(-1, 4).std(axis=0))[..., :3]
    assert size[size > 0].min() >= 0.5
    assert size.max() < 8


@pytest.mark.parametrize("broken", [65_535.0, 1e30, 1.7e308])
def test_one_broken_reading_does_not_make_what_is_drawn_plain(broken: float) -> None:
    values = np.random.default_rng(0).normal(size=(1_000, 1, 1))
    values[7] = broken
    assert 0.9 < synthetic_tables.scales(values)[0] < 1.1


def test_what_normal_values_deviate_by_is_measured_once_however_many_are_drawn(monkeypatch) -> None:
    measured = []
    once = synthetic_tables._scale
    monkeypatch.setattr(synthetic_tables, "_scale", lambda values: measured.append(values.shape) or once(values))
    windows = flow(50)
    disturbed(windows)
    assert measured == [windows.shape[:2]] * 4


def test_missing_values_stay_missing_and_constant_columns_move() -> None:
    windows = flow(40)
    windows[:, 5:9, 0] = np.nan
    windows[:, :, 1] = 7.0
    windows[:, :, 2] = np.nan
    changed = disturbed(windows)
    assert np.array_equal(np.isnan(changed), np.isnan(windows))
    assert ((changed != windows) & ~np.isnan(windows)).any(axis=(1, 2)).all()


@pytest.mark.parametrize("value", [0.1, 0.7, 1013.25])
def test_a_column_that_stands_still_moves_by_a_hundredth_of_its_value_though_its_mean_rounds(value: float) -> None:
    windows = flow(50)
    windows[:, :, :3] = value
    moved = np.abs(disturbed(windows) - windows)[..., :3].max(axis=(1, 2))
    assert moved[moved > 0].min() > 0.005 * value


def test_a_window_of_nothing_is_left_as_it_is() -> None:
    windows = np.full((1, 4, 4), np.nan)
    assert np.isnan(disturbed(windows)).all()


def test_samples_are_named_and_do_not_depend_on_their_batch() -> None:
    samples: Samples = SyntheticSamples(Held(parts(3)), seed=5)
    assert len(samples) == LEAST == len(set(samples.ids))
    assert samples.ids[:4] == ["synthetic:sha0:0", "synthetic:sha1:0", "synthetic:sha2:0", "synthetic:sha0:1"]
    assert all(map(is_synthetic, samples.ids))
    assert samples.ids is samples.ids  # put together once: each image that is read asks for its name
    assert samples.labels.tolist() == [1] * LEAST
    together, alone = samples.take([0, 3, 4]), samples.take([3])
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together[0], together[1])


def test_images_are_drawn_on_by_every_processor(monkeypatch) -> None:
    together = threading.Barrier(2, timeout=30)

    def draw(image: Image, **_) -> tuple[Image, Mask]:
        together.wait()
        return image, np.zeros(image.shape[:2], np.bool_)

    monkeypatch.setattr("components.models.parallel.processors", lambda: 2)
    monkeypatch.setattr("components.search.synthetic.draw_defect", draw)
    assert len(SyntheticSamples(Held(parts(2)), seed=5).take(range(2))) == 2


def test_an_image_gets_several_defects_and_a_window_one_where_there_are_many() -> None:
    many = LEAST + 1
    assert len(SyntheticSamples(Held(parts(many, shape=(40, 40))), seed=5)) == many * ON_AN_IMAGE
    assert len(SyntheticSamples(Held(flow(many)), seed=5, schema=SCHEMA)) == many


def test_windows_do_not_depend_on_their_batch() -> None:
    samples = SyntheticSamples(Held(flow(50)), seed=5, schema=SCHEMA)
    assert len(samples) == 50
    together = samples.take(range(50))
    assert isinstance(together, np.ndarray)
    assert together.shape == (50, 20, 4)
    assert np.array_equal(samples.take([7, 3]), together[[7, 3]])


@pytest.mark.parametrize("data", [flow(4), parts(4)], ids=["windows", "images"])
def test_joined_samples_keep_the_order_asked_for(data: list[Image] | Windows) -> None:
    first, second = Held(data), Held(data[::-1], labels=[1, 0, 0, 1])
    joined: Samples = JoinedSamples(first, second)
    assert len(joined) == 8
    assert joined.ids == first.ids + second.ids
    assert joined.labels.tolist() == [0, 0, 0, 0, 1, 0, 0, 1]
    for indices in ([6, 1, 4, 0], [0, 2], [7, 5], []):
        taken = joined.take(indices)
        assert len(taken) == len(indices)
        for found, index in zip(taken, indices, strict=True):
            assert np.array_equal(found, data[index] if index < 4 else data[7 - index])


def test_drawn_anomalies_join_real_ones_that_are_few() -> None:
    labels = [0, 1, 0, 0]
    for known in (Held(flow(4), labels=labels), Held(parts(4), labels=labels)):
        schema = SCHEMA if isinstance(known.data, np.ndarray) else None
        joined, synthetic = with_synthetic(known, groups=np.array(known.ids), seed=0, schema=schema)
        assert synthetic
        assert list(joined.ids[:4]) == known.ids
        assert joined.labels.tolist() == labels + [1] * LEAST
        assert {drawn_on(name) for name in joined.ids[4:]} == {"sha0", "sha2", "sha3"}
    alone, _ = with_synthetic(Held(flow(4)[[0, 2, 3]]), groups=np.array(list("abc")), seed=0, schema=SCHEMA)
    assert len(alone) == 3 + LEAST


def test_what_is_drawn_on_a_sample_comes_from_normal_samples_alone() -> None:
    """The others could be anything: what is drawn stays the same."""
    names = list("abcd")
    for data in (flow(4), parts(4)):
        schema = SCHEMA if isinstance(data, np.ndarray) else None
        drawn = []
        for other in (data[0], data[0] * 0):
            held = Held(np.stack([*data[:3], other]), labels=[0, 0, 0, 1])
            joined, _ = with_synthetic(held, groups=np.array(names), seed=0, schema=schema)
            drawn.append(joined.take(range(4, 20)))
        assert all(np.array_equal(*pair) for pair in zip(*drawn, strict=True))


@pytest.mark.parametrize(("groups", "few"), [(ENOUGH, False), (ENOUGH - 1, True)])
def test_real_anomalies_are_counted_by_groups(groups: int, few: bool) -> None:
    known = Held(flow(4 * ENOUGH), labels=[1] * 2 * ENOUGH + [0] * 2 * ENOUGH)
    names = np.array([str(number % groups) for number in range(2 * ENOUGH)] + known.ids[2 * ENOUGH :])
    found, synthetic = with_synthetic(known, groups=names, seed=0, schema=SCHEMA)
    assert synthetic == few
    assert (found is known) == (not few)


def test_a_plainly_better_candidate_is_found_though_three_real_anomalies_alone_hardly_tell() -> None:
    known = Held(flow(43, rows=1), labels=[0] * 40 + [1] * 3)
    joined, _ = with_synthetic(known, groups=np.array(known.ids), seed=0, schema=SCHEMA)
    groups = np.array([drawn_on(name) for name in joined.ids])
    found = {"real": 0, "joined": 0}
    for search in range(20):
        rng = np.random.default_rng(search)
        noise = rng.normal(size=(9, len(joined)))
        default, better, *others = (noise[0] + noise[1:]) / 2 + joined.labels * np.r_[1, 2.5, np.ones(6)][:, None]
        for name, some in (("real", slice(43)), ("joined", slice(None))):
            beyond = better_beyond_error(
                [one[some] for one in (better, *others)],
                default[some],
                joined.labels[some],
                seed=search,
                groups=groups[some],
            )
            found[name] += beyond[0]
    assert found["real"] <= 2
    assert found["joined"] >= 18


def test_drawn_anomalies_are_not_all_easy_and_not_all_hidden() -> None:
    """A plain distance to the mean finds some and misses some."""
    windows = flow(300, rows=1)
    changed = disturbed(windows)
    flat, spread = windows.reshape(300, -1), windows.reshape(300, -1).std(axis=0)

    def far(data: Windows) -> NDArray[np.float64]:
        distance: NDArray[np.float64] = (((data.reshape(300, -1) - flat.mean(axis=0)) / spread) ** 2).sum(axis=1)
        return distance

    above = (far(changed)[:, None] > far(windows)[None, :]).mean()
    assert 0.6 < above < 0.97
