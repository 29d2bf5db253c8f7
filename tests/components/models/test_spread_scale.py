"""The unit of a memory's uncertainty: how much scores differ between banks of other images."""

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from components.models import registry
from components.models.sampling import Sampled
from components.models.spread_scale import FEWEST, spread_scale


def scale(patches: np.ndarray, images: np.ndarray, *, ratio: float = 0.5, seed: int = 0) -> float:
    read = int(images.max()) + 1
    plain = np.ones(len(patches), bool)
    found = Sampled(patches=patches.astype(np.float32), images=images, plain=plain, read=read, seen=len(patches))
    rng = np.random.default_rng(seed)
    return spread_scale(
        found, ratio=ratio, neighbours=1, scaled=lambda x: x, highest=lambda d: np.argsort(d)[-1:], rng=rng
    )


def test_banks_of_equal_images_do_not_differ():
    """Every image shows the same ten patches and every bank keeps one of each: halves alone make a difference."""
    patches = np.tile(np.arange(10.0)[:, None], (12, 1))
    assert scale(patches, np.repeat(np.arange(12), 10), ratio=0.25) == 0


def test_images_that_differ_as_wholes_say_more_than_halves_of_a_bank():
    random = np.random.default_rng(0)
    images = np.repeat(np.arange(30), 20)
    shifts = random.normal(0, 5, (30, 8))[images]
    assert scale(shifts + random.normal(0, 0.1, (600, 8)), images) > 1


def test_too_few_images_leave_halves_at_their_word():
    images = np.repeat(np.arange(3 * FEWEST - 1), 4)
    assert scale(np.random.default_rng(0).normal(size=(len(images), 2)), images) == 1


@pytest.mark.parametrize("name", ["memory-bank", "dino-memory"])
def test_the_unit_is_recorded_and_a_model_of_an_earlier_release_has_none(fitted_once, cases, tmp_path, name):
    detector = fitted_once(name)
    unit = detector._halves.scale
    assert detector.facts["spread_scale"] == round(unit, 3) > 0
    detector.save(tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    tensors = load_file(path)
    del tensors["spread"]
    save_file(tensors, path)
    before, now = registry.load(tmp_path / "model").score(cases[name].fresh), detector.score(cases[name].fresh)
    assert np.array_equal(before.image, now.image)
    assert np.allclose(before.uncertainty * unit, now.uncertainty)
