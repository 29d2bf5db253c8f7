import numpy as np
import pytest

from components.core.contracts import Column, TableSchema
from components.core.errors import ModelError
from components.models.encoding import CLIP, TableEncoder

THREE = TableSchema(
    features=(
        Column(name="a", kind="numeric"),
        Column(name="b", kind="numeric"),
        Column(name="c", kind="numeric"),
        Column(name="mode", kind="categorical", categories=("x",)),
    )
)
ONE = TableSchema(features=(Column(name="flow", kind="numeric"),))


def encoded(column, training):
    rows = np.asarray(column, dtype=float).reshape(-1, 1, 1)
    return TableEncoder.fit(np.asarray(training, dtype=float).reshape(-1, 1, 1), ONE).encode(rows)[:, 0]


def test_a_second_mode_of_the_machine_is_not_cut():
    idle = np.linspace(-0.01, 0.01, 900)
    run = np.linspace(9.0, 11.0, 100)  # beyond 1,000 quartile ranges of the idle mode
    found = encoded([9.0, 10.0, 11.0], np.concatenate([idle, run]))
    assert (np.abs(found) < CLIP).all()
    assert len(set(found)) == 3


def test_a_broken_reading_does_not_make_all_others_look_alike():
    normal = np.sin(np.arange(1000.0))
    found = encoded([-1.0, 1.0], [*normal, 1e12])
    assert np.ptp(found) > 0.4
    np.testing.assert_allclose(encoded([0.0, 2.0], [-1.0, 1.0] * 50), [0.0, 2.0])


def test_a_broken_reading_among_few_does_not_either():
    few = np.sin(np.arange(59.0))
    assert np.ptp(encoded([-1.0, 1.0], [*few, 65_535.0])) > 0.1


@pytest.mark.parametrize("busy", [0.2, 0.003])
def test_a_broken_reading_does_not_drown_a_counter_that_mostly_stands_at_zero(busy):
    random = np.random.default_rng(0)
    normal = np.where(random.random(5000) < busy, random.random(5000), 0.0)
    found = encoded([0.0, 1.0, 3.0], [*normal, 65_535.0])
    assert np.diff(found).min() > 1


@pytest.mark.parametrize("features", ["statistics", "level", "spectral", "raw"])
@pytest.mark.parametrize("rows", [1, 12])
def test_the_largest_double_for_no_reading_leaves_every_feature_finite(features, rows):
    windows = np.random.default_rng(0).normal(size=(200, rows, 1))
    broken = windows.copy()
    broken[7, :: max(1, rows // 3)] = np.finfo(float).max
    broken[8] = -np.finfo(float).max
    for training in (windows, broken):
        found = TableEncoder.fit(training, ONE, features=features).encode(broken)
        assert np.isfinite(found).all()
        assert np.abs(found[7:9]).max() == CLIP


def test_a_sine_has_its_energy_in_one_band():
    windows = np.sin(2 * np.pi * np.arange(16) * 2 / 16 + np.linspace(0, 6, 50)[:, None])[:, :, None]
    found = TableEncoder.fit(windows, ONE, features="spectral").raw(windows)
    mean, deviation, centroid, low, *others = found[0]
    # Two turns a window: the second of eight frequencies, the lowest quarter; half of 16 * (1/2)^2 * 16 / 16 is power.
    np.testing.assert_allclose([mean, deviation, centroid, low], [0, 0.5**0.5, 2, np.log1p(4)], atol=1e-9)
    np.testing.assert_allclose(others, 0, atol=1e-9)


def test_raw_windows_come_last_one_column_after_the_other():
    two = TableSchema(features=(Column(name="a", kind="numeric"), Column(name="b", kind="numeric")))
    windows = np.random.default_rng(0).normal(size=(20, 3, 2))
    windows[0, 1, 0] = np.nan
    encoder = TableEncoder.fit(windows, two, features="raw")
    assert encoder.rows == 6
    windows[0, 0, 1] = np.nan
    share, *found = encoder.raw(windows)[0, -7:]
    assert share == 1 / 3
    first = [windows[0, 0, 0], encoder.medians[0], windows[0, 2, 0]]
    np.testing.assert_allclose(found, [*first, encoder.medians[1], *windows[0, 1:, 1]])


def with_gaps():
    """Twenty windows of five rows, whose third column alone has missing values, and what is made of them."""
    windows = np.random.default_rng(0).normal(size=(20, 5, 4))
    windows[:, :, 3] = 0
    windows[0, 0, 2] = np.nan
    return windows, TableEncoder.fit(windows, THREE, features="level")


def test_missing_values_where_training_had_none_count_by_their_share_and_a_dead_sensor_as_much_as_anything_can():
    windows, encoder = with_gaps()
    assert encoder.indicators == (2,)
    assert encoder.complete == (0, 1)
    assert not encoder.encode(windows)[:, -1].any()
    broken = np.repeat(windows[1:2], 6, axis=0)
    broken[1, 0, 0] = broken[2, :2, 0] = broken[2, 4, 1] = broken[3, :, 1] = broken[4, :, :2] = np.nan
    broken[5, :, 2:] = np.nan  # what had missing values, or has a code for what is unknown
    np.testing.assert_allclose(encoder.encode(broken)[:, -1], [0, CLIP / 5, CLIP * 3 / 5, CLIP, CLIP, 0])


def test_an_infinite_reading_is_missing_where_training_had_none():
    windows, encoder = with_gaps()
    windows[3, :, 0] = np.inf
    assert encoder.encode(windows)[3, -1] == CLIP


def test_an_encoder_of_before_has_no_feature_for_gaps_and_makes_the_others_as_it_did():
    windows, encoder = with_gaps()
    old = encoder.model_dump(mode="json", exclude={"complete"})
    loaded = TableEncoder.model_validate({**old, "centre": old["centre"][:-1], "scale": old["scale"][:-1]})
    windows[3:, :, 0] = np.nan
    assert loaded.gaps == 0
    assert np.array_equal(loaded.encode(windows), encoder.encode(windows)[:, :-1])


def test_the_usual_category_is_the_most_frequent_and_of_numbers_the_median():
    windows = np.zeros((400, 1, 4))
    windows[:, 0, 0], windows[:, 0, 1] = np.arange(400), np.nan
    windows[:, 0, 3] = [0] * 195 + [1] * 10 + [2] * 195
    schema = THREE.model_copy(
        update={"features": (*THREE.features[:3], Column(name="mode", kind="categorical", categories=("x", "y", "z")))}
    )
    assert TableEncoder.fit(windows, schema).medians == (199.5, 0.0, 0.0, 0.0)


def test_what_varies_by_less_than_can_be_squared_is_constant():
    with pytest.raises(ModelError, match="All 1 feature columns are constant"):
        encoded([0.0], np.random.default_rng(0).normal(size=50) * 1e-200)
    assert np.ptp(encoded([-1e-30, 1e-30], np.random.default_rng(0).normal(size=50) * 1e-30)) > 1
