import numpy as np
import pytest

from components.explain.overlays import anchored_scale, enlarge, overlay
from components.explain.pictures import save_image


def _grey(height: int = 60, width: int = 80) -> np.ndarray:
    return np.full((height, width, 3), 120, dtype=np.uint8)


def test_below_low_the_image_is_untouched() -> None:
    image = _grey()
    assert (overlay(image, np.full((8, 8), 1.0, dtype=np.float32), low=1.0, high=2.0) == image).all()


def test_hot_place_is_coloured_where_it_is_and_nothing_is_mutated() -> None:
    image, heat = _grey(), np.zeros((6, 8), dtype=np.float32)
    heat[1, 6] = 2.0
    before = image.copy(), heat.copy()
    picture = overlay(image, heat, low=1.0, high=2.0)
    changed = np.abs(picture.astype(int) - image).sum(axis=2)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    # Cell (1, 6) of (6, 8) covers rows 10 to 20 and columns 60 to 70.
    assert 10 <= row < 20
    assert 60 <= column < 70
    assert changed[30:].max() == 0
    assert (image == before[0]).all()
    assert (heat == before[1]).all()


def test_opacity_leaves_the_image_visible() -> None:
    image = _grey()
    image[:, :40] = 0
    hot = overlay(image, np.ones((4, 4), dtype=np.float32), low=0.0, high=1.0)
    assert hot[0, 0].tolist() != hot[0, 79].tolist()


def test_outline_runs_around_the_place_above_it() -> None:
    heat = np.zeros((60, 80), dtype=np.float32)
    heat[20:30, 20:30] = 1.0
    picture = overlay(_grey(), heat, low=5.0, high=6.0, outline=0.5)
    cyan = (picture == [0, 229, 255]).all(axis=2)
    assert cyan[19, 25]
    assert cyan[25, 30]
    assert not cyan[25, 25]
    assert cyan.sum() == 40


def test_beyond_the_hottest_colour_the_upper_half_is_outlined() -> None:
    heat = np.zeros((60, 80), dtype=np.float32)
    heat[10:40, 10:40] = 7.0
    heat[20:30, 20:30] = 20.0
    picture = overlay(_grey(), heat, low=5.0, high=6.0, outline=5.5)
    black = (picture == 0).all(axis=2)
    assert black[19, 25]
    assert black.sum() == 40
    assert picture[25, 25].tolist() == picture[15, 15].tolist()  # of one colour
    heat[20:30, 20:30] = 5.9
    assert not (overlay(_grey(), np.minimum(heat, 6.0), low=5.0, high=6.0, outline=5.5) == 0).all(axis=2).any()


def test_enlarging_stays_in_range() -> None:
    small = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    large = enlarge(small, 91, 33)
    assert large.shape == (91, 33)
    assert large.min() >= small.min()
    assert large.max() <= small.max()


def test_impossible_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="above low"):
        overlay(_grey(), np.zeros((2, 2), dtype=np.float32), low=1.0, high=1.0)


def test_scale_is_usable_even_where_background_exceeds_the_threshold() -> None:
    scale = anchored_scale(0.0, background=4.0)
    assert scale.low < scale.threshold < scale.high


def test_what_is_clear_needs_no_colours(monkeypatch) -> None:
    calm = np.full((8, 8), 1.0, dtype=np.float32)
    monkeypatch.setattr("matplotlib.colormaps", {"inferno": _colours_of_few})
    assert (overlay(_grey(), calm, low=1.0, high=2.0) == _grey()).all()
    calm[0, 0] = 2.0
    assert not (overlay(_grey(), calm, low=1.0, high=2.0) == _grey()).all()


def _colours_of_few(values: np.ndarray) -> np.ndarray:
    assert values.size < 60 * 80 / 10
    return np.ones((*values.shape, 4))


def test_pictures_are_packed_fast(tmp_path) -> None:
    data = save_image(_grey(), tmp_path / "a.png").read_bytes()
    level = data[data.index(b"IDAT") + 5] >> 6  # zlib's FLEVEL (RFC 1950): 2 is its usual level of 6, 1 is a fast one
    assert level == 1
