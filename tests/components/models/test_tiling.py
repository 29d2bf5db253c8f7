"""How images are scaled and cut, and their features put together again."""

import numpy as np
import pytest

from components.models.tiling import Frame, joined


def frame(tiles: int = 1, resize: str = "stretch", size: int = 320) -> Frame:
    return Frame(size=size, tiles=tiles, multiple=32, resize=resize)


def test_fit_keeps_the_aspect_to_half_a_multiple():
    assert frame(resize="fit").canvas(640, 640) == (320, 320)
    for height, width in [(100, 400), (400, 100), (200, 300), (50, 5000)]:
        canvas = frame(resize="fit").canvas(height, width)
        assert max(canvas) == 320
        assert all(side % 32 == 0 for side in canvas)
        assert abs(min(canvas) - max(32, 320 * min(height, width) / max(height, width))) <= 16


@pytest.mark.parametrize("tiles", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [64, 320, 384])
def test_tiles_cover_a_canvas_once_and_keep_off_their_edges(tiles, size):
    made = frame(tiles, size=size)
    for length in range(32, made.side + 1, 32):
        cuts = made.cuts(length)
        assert [(cut.first, cut.last) for cut in cuts] == [
            (first, last)
            for first, last in zip([0, *(cut.last for cut in cuts)], [cut.last for cut in cuts], strict=False)
        ]
        assert cuts[-1].last == length
        assert len(cuts) <= tiles
        for cut in cuts:
            assert cut.start % 32 == cut.first % 32 == 0
            assert cut.stop - cut.start == min(length, size)
            assert 0 <= cut.start <= cut.first < cut.last <= cut.stop <= length
            assert cut.first == 0 or cut.first - cut.start >= 32
            assert cut.last == length or cut.stop - cut.last >= 32


def test_features_of_tiles_are_those_of_the_whole_where_a_feature_is_its_place():
    made = frame(2, resize="fit", size=64)  # 64 + 64 less an overlap of 64 is one more tile than it seems
    height, width = made.side, made.side
    grid = np.arange(height // 16 * (width // 16), dtype=np.float32).reshape(height // 16, width // 16, 1)
    rows, columns = made.cuts(height), made.cuts(width)
    tiles = [
        [grid[row.start // 16 : row.stop // 16, column.start // 16 : column.stop // 16]]
        for row in rows
        for column in columns
    ]
    assert np.array_equal(joined(tiles, rows=rows, columns=columns, strides=[16])[0], grid)


@pytest.mark.parametrize("name", ["memory-bank", "gaussian", "dino-memory"])
def test_detectors_fit_and_tile_images_of_any_aspect(cases, listed, fitted_once, name, tmp_path):
    from components.models import registry

    case = cases[name]
    detector = case.make(resize="fit", tiles=2, image_size=128 if name != "dino-memory" else 112)
    detector.fit(listed(case.normal[:9]), seed=0)
    fresh = case.fresh[:3]  # one of each aspect
    normal, anomalous = detector.score(fresh), detector.score(case.anomalous[:3])
    assert anomalous.image.min() > normal.image.max()
    assert normal.maps.shape[1] == normal.maps.shape[2] > fitted_once(name).score(fresh[:1]).maps.shape[1]
    heat = anomalous.maps[1]  # 64 x 128, red from 20 to 44 in both
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 12 <= (row + 0.5) / len(heat) * 64 <= 52
    assert 12 <= (column + 0.5) / len(heat) * 128 <= 52  # to a patch of the coarsest stage
    one_by_one = np.concatenate([detector.score([image]).image for image in fresh])
    assert np.allclose(one_by_one, normal.image, rtol=detector.batch_tolerance)
    detector.save(tmp_path / "model")
    assert np.array_equal(registry.load(tmp_path / "model").score(fresh).image, normal.image)


def test_an_aspect_is_kept_where_it_fits_and_lost_where_it_is_stretched(cases, listed):
    """A known image at half its width is as known when it fits and strange when it is stretched: never the same."""
    case = cases["memory-bank"]
    for resize, shape in (("stretch", (128, 128)), ("fit", (64, 128))):
        detector = case.make(resize=resize, image_size=128)
        assert detector._frame.canvas(64, 128) == shape
        grid = detector._grids([np.zeros((64, 128, 3), np.uint8)])[0]
        assert grid.shape[:2] == (shape[0] // 16, shape[1] // 16)
