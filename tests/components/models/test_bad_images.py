"""Images that nothing can be learned from, or hardly anything: an error that says so, and no half of a model."""

import numpy as np
import pytest

from components.core.errors import ModelError, NotEnoughDataError
from components.models import registry
from components.models.backbones import Backbone
from components.train import fitting, preflight

MEMORIES = ("memory-bank", "dino-memory", "reference", "ensemble")


@pytest.mark.parametrize("name", [*MEMORIES, "gaussian"])
def test_constant_images_are_refused_and_nothing_is_kept(cases, listed, name, tmp_path):
    detector = cases[name].make()
    with pytest.raises(ModelError, match="nothing to learn"):
        detector.fit(listed(cases[name].flat), seed=0)
    with pytest.raises(ModelError, match="not fitted"):
        detector.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert detector.facts == {}


@pytest.mark.parametrize("name", [*MEMORIES, "gaussian"])
def test_flat_images_are_refused_however_unlike_each_other_they_are(cases, listed, name):
    images = [np.full((64 + 32 * number, 64, 3), 40 * number, np.uint8) for number in range(3)]
    with pytest.raises(ModelError, match=r"All 3 images are of one flat colour each"):
        cases[name].make(**({"resize": "fit"} if name != "ensemble" else {})).fit(listed(images), seed=0)


@pytest.mark.parametrize("name", MEMORIES)
def test_one_image_is_enough_to_remember_and_too_few_for_a_threshold(cases, listed, name):
    case = cases[name]
    detector = case.make()
    detector.fit(listed(case.normal[:1]), seed=0)
    scores = detector.score(case.fresh)
    assert np.isfinite(scores.image).all()
    assert np.isfinite(scores.uncertainty).all()
    one = listed(case.normal[:1])
    with pytest.raises(NotEnoughDataError, match="cannot be trained on and calibrated on"):
        fitting.calibrate_cross(
            name, params=case.params, schema=None, samples=one, groups=np.array(["a"]), rate=None, seed=0
        )


@pytest.mark.parametrize("name", [*MEMORIES, "gaussian"])
@pytest.mark.parametrize(("value", "said"), [(0.0, "nothing to learn"), (np.nan, "not finite")])
def test_features_that_say_nothing_are_refused(cases, listed, name, value, said, monkeypatch, tmp_path):
    features = Backbone.features
    monkeypatch.setattr(Backbone, "features", lambda self, images: [x * 0 + value for x in features(self, images)])
    detector = cases[name].make()
    with pytest.raises(ModelError, match=said):
        detector.fit(listed(cases[name].normal[:3]), seed=0)
    with pytest.raises(ModelError, match="not fitted"):
        detector.save(tmp_path / "model")


def test_a_bank_larger_than_memory_is_refused_by_name(cases, listed, monkeypatch):
    monkeypatch.setattr(preflight, "free_memory", lambda: 1e6)
    with pytest.raises(ModelError, match=r"needs about .* GB of memory, 0\.00 GB are free"):
        fitting.fit("memory-bank", params={}, schema=None, samples=listed(cases["memory-bank"].normal), seed=0)


def test_grey_images_have_the_scores_of_their_three_equal_channels(fitted_once):
    """Scaling and the drawn shares treat channels alike: what is grey stays grey up to the network."""
    from components.models.images import scaled

    grey = np.random.default_rng(0).integers(0, 255, (50, 70, 1)).astype(np.uint8).repeat(3, axis=2)
    for shape in ((64, 64), (64, 96), (200, 30)):
        found = scaled(grey, height=shape[0], width=shape[1])
        assert (found == found[:, :, :1]).all()
    order = fitted_once("memory-bank").score([grey, grey[:, :, ::-1].copy()]).image
    assert order[0] == order[1]


def test_a_model_without_its_memory_is_no_model(cases, fitted_once, tmp_path):
    from safetensors.torch import load_file, save_file

    fitted_once("memory-bank").save(tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    tensors = load_file(path)
    for bank in (tensors["bank"][:, :5], tensors["bank"][:0], tensors["bank"] * float("nan")):
        save_file({**tensors, "bank": bank.contiguous()}, path)
        with pytest.raises(ModelError, match="no memory bank that fits"):
            registry.load(tmp_path / "model")
