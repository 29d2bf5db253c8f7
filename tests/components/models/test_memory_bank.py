import numpy as np
import pytest

from components.core.errors import ModelError
from components.models.images import scaled


def test_the_map_is_hot_where_the_defect_is(cases, fitted_once):
    case = cases["memory-bank"]
    square = case.anomalous[0]  # 96 x 96, red from 20 to 44
    heat = fitted_once("memory-bank").score([square]).maps[0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    place = (np.array([row, column]) + 0.5) / len(heat) * 96
    assert (np.abs(place - 32) < 24).all()


def test_maps_have_one_shape_whatever_the_aspect(fitted_once):
    random = np.random.default_rng(0)
    sizes = [(32, 32), (100, 100), (1000, 200), (60, 700)]
    images = [random.integers(0, 255, (*size, 3)).astype(np.uint8) for size in sizes]
    scores = fitted_once("memory-bank").score(images)
    assert scores.maps.shape == (4, 4, 4)  # 64 pixels at stride 16
    assert np.isfinite(scores.maps).all()


def test_embeddings_are_one_row_an_image(cases, fitted_once):
    detector, images = fitted_once("memory-bank"), cases["memory-bank"].fresh
    found = detector.embed(images)
    assert found.shape == (len(images), detector.embed_size) == (6, 112 + 320)
    assert detector.embed([]).shape == (0, 432)


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(fitted_once, image):
    with pytest.raises(ModelError, match=r"\(H, W, 3\) of uint8"):
        fitted_once("memory-bank").score([image])


def test_memory_is_bounded_by_max_patches(cases, listed):
    case = cases["memory-bank"]
    detector = case.make(image_size=256, max_patches=1000, coreset_ratio=1.0)
    detector.fit(listed(case.normal), seed=0)
    assert 900 < len(detector._bank.patches) <= 1000  # 18 images of about 256 patches each


def test_every_image_becomes_the_models_square():
    for height, width in [(100, 400), (400, 100), (128, 128)]:
        image = np.full((height, width, 3), 7, np.uint8)
        found = scaled(image, height=128, width=128)
        assert found.shape == (128, 128, 3)
        assert (found == 7).all()
        assert found.flags.writeable
        assert not np.shares_memory(found, image)
