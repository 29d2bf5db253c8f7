import json

import numpy as np
import pytest

from components.models import registry


def test_the_map_is_hot_where_the_defect_is(cases, fitted_once):
    heat = fitted_once("dino-memory").explain([cases["dino-memory"].anomalous[0]])[0]  # 96 x 96, red from 20 to 44
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (np.abs((np.array([row, column]) + 0.5) / len(heat) * 96 - 32) < 24).all()


def test_scores_are_cosine_distances_of_the_stored_patches(cases, listed):
    case = cases["dino-memory"]
    detector = case.make(coreset_ratio=1.0, blocks="3-6-9")
    detector.fit(listed(case.normal[:2]), seed=0)
    assert np.abs(detector.score(case.normal[:2]).image).max() < 1e-6
    bank, queries = detector._bank.patches.astype(float), detector._patches(case.fresh[:1])[0].astype(float)
    assert np.allclose(np.linalg.norm(bank, axis=1), 1, atol=1e-5)
    exact = 1 - (queries @ bank.T).max(axis=1)
    assert np.allclose(detector.score(case.fresh[:1]).maps[0].ravel(), exact, atol=1e-5)
    assert np.isclose(detector.score(case.fresh[:1]).image[0], exact.max(), atol=1e-5)  # 1 % of 64 patches is one


@pytest.mark.parametrize("name", ["memory-bank", "dino-memory"])
@pytest.mark.parametrize(
    ("augment", "view"), [("rotations", np.rot90), ("flips", np.flipud), ("auto", np.fliplr), ("flips", np.rot90)]
)
def test_images_are_known_in_the_views_that_were_asked_for(name, augment, view, cases, listed):
    case = cases[name]
    seen_otherwise = [view(image) for image in case.normal[:3]]
    known = {}
    for chosen in ("none", augment):
        detector = case.make(augment=chosen, coreset_ratio=1.0)
        detector.fit(listed(case.normal[:3]), seed=0)
        known[chosen] = detector.score(seen_otherwise).image.max()
    assert known["none"] > 1e-5
    assert (known[augment] < 1e-5) == ((augment, view) != ("flips", np.rot90))


def test_folds_are_mirrored_where_the_whole_is():
    assert registry.settled("memory-bank", {"neighbours": 2}, samples=31) == {"neighbours": 2, "augment": "flips"}
    assert registry.settled("dino-memory", {}, samples=32) == {"augment": "none"}
    assert registry.settled("dino-memory", {"augment": "rotations"}, samples=9) == {"augment": "rotations"}
    assert registry.settled("gaussian", {}, samples=9) == {}


def test_models_of_before_a_parameter_was_named_are_read_as_they_were_made(cases, tmp_path):
    detector = cases["dino-memory"].fitted(resize="stretch", augment="none")
    detector.save(tmp_path)
    (header,) = tmp_path.glob("*.json")
    said = json.loads(header.read_text())
    del said["params"]["resize"], said["params"]["augment"]
    header.write_text(json.dumps({**said, "params": {**said["params"], "rotations": False}}))
    read = registry.load(tmp_path)
    assert (read.params["resize"], read.params["augment"]) == ("stretch", "none")
    fresh = cases["dino-memory"].fresh
    assert np.array_equal(read.score(fresh).image, detector.score(fresh).image)


def test_what_training_images_say_is_said_by_them_as_they_are(cases, listed):
    """Mirrored views are remembered, but an image's own score is not the highest of four views."""
    case = cases["memory-bank"]
    detector, one = (case.make(augment="flips", coreset_ratio=1.0) for _ in range(2))
    detector.fit(listed(case.normal[:2]), seed=0)
    one.fit(listed(case.normal[:1]), seed=0)
    assert detector.left_out_scores[1] == pytest.approx(one.score(case.normal[1:2]).image[0], rel=1e-5)


def test_memory_is_bounded_by_max_patches(cases, listed):
    case = cases["dino-memory"]
    detector = case.make(image_size=140, max_patches=1000, coreset_ratio=1.0)
    detector.fit(listed(case.normal), seed=0)
    assert 900 < len(detector._bank.patches) <= 1000  # 12 images of 100 patches each, in two views


def test_reference_without_labels_is_dino_memory_bit_for_bit(cases, fitted_once):
    case = cases["reference"]
    samples = [*case.fresh, *case.anomalous]
    ours, theirs = fitted_once("reference").score(samples), fitted_once("dino-memory").score(samples)
    assert np.array_equal(ours.image, theirs.image)
    assert np.array_equal(ours.maps, theirs.maps)


def test_labelled_anomalies_raise_their_like_and_leave_normal_ones(cases, fitted_once, listed, tmp_path):
    case = cases["reference"]
    labels = [0] * len(case.normal) + [1] * 2
    detector = case.make()
    detector.fit(listed([*case.normal, *case.anomalous[:2]], labels), seed=0)
    unaware = fitted_once("reference")
    before, after = unaware.score(case.anomalous[2:]).image, detector.score(case.anomalous[2:]).image
    assert (after > 1.2 * before).all()
    assert np.array_equal(detector.score(case.fresh).image, unaware.score(case.fresh).image)
    detector.save(tmp_path / "model")
    assert np.array_equal(registry.load(tmp_path / "model").score(case.anomalous[2:]).image, after)


def test_weight_scales_what_labels_add(cases, listed):
    case = cases["reference"]
    normal = case.normal[:4]
    labelled = listed([*normal, case.anomalous[0]], [0] * len(normal) + [1])
    image, maps = case.anomalous[:1], {}
    for weight in (0.0, 1.0, 3.0):
        detector = case.make(weight=weight)
        detector.fit(labelled, seed=0)
        maps[weight] = detector.score(image).maps
    plain = case.make()
    plain.fit(listed(normal), seed=0)
    base = plain.score(image).maps
    for weight in (0.0, 3.0):
        assert np.allclose(maps[weight] - base, weight * (maps[1.0] - base), atol=1e-6)
