import numpy as np
import pytest
import torch

from components.core.errors import ModelError


@pytest.fixture(scope="module")
def detector(cases, listed):
    case = cases["padim"]
    made = case.make(features=6)
    made.fit(listed(case.normal[:8]), seed=0)
    return made


def test_distances_are_mahalanobis_at_every_place(cases, detector):
    case, places = cases["padim"], detector._fitted()

    def embedded(images):
        from components.models.zoo.padim import _embedded
        from components.models.zoo.reading import stacked

        return _embedded(stacked(detector._features(images)), places.kept)

    rows = embedded(case.normal[:8]).double().numpy().reshape(8, 6, 64)  # 8 x 8 places
    fresh = embedded(case.fresh[:1]).double().numpy().reshape(6, 64)
    exact = []
    for place in range(64):
        offset = fresh[:, place] - rows[:, :, place].mean(axis=0)
        spread = np.cov(rows[:, :, place].T) + (0.01 + 1e-5) * np.eye(6)
        exact.append(np.sqrt(offset @ np.linalg.inv(spread) @ offset))
    found = places.map.compute_distance(embedded(case.fresh[:1]), [places.mean, places.precision])
    assert np.allclose(found.numpy().ravel(), exact, rtol=1e-3)


def test_the_score_is_the_highest_of_the_map(cases, detector):
    scores = detector.score(cases["padim"].fresh)
    assert np.array_equal(scores.image, scores.maps.max(axis=(1, 2)))
    assert scores.maps.shape == (4, 64, 64)


def test_one_image_is_too_few(cases, listed):
    with pytest.raises(ModelError, match="1 images"):
        cases["padim"].make().fit(listed(cases["padim"].normal[:1]), seed=0)


def test_another_seed_keeps_other_channels(cases, listed, detector):
    other = cases["padim"].make(features=6)
    other.fit(listed(cases["padim"].normal[:2]), seed=1)
    assert len(set(detector._fitted().kept.tolist())) == 6
    assert not torch.equal(other._fitted().kept, detector._fitted().kept)
