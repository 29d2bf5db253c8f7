import numpy as np
import pytest

from components.core.errors import ModelError
from components.models.gaussian import Normal, _Moments, _shrunk, _whitening


def test_distance_is_mahalanobis():
    random = np.random.default_rng(0)
    covariance = np.cov(random.normal(size=(3, 50)) * [[1], [5], [0.1]])
    rows, mean = random.normal(size=(4, 3)), np.array([1.0, 2.0, 3.0])
    exact = [np.sqrt((row - mean) @ np.linalg.inv(covariance) @ (row - mean)) for row in rows]
    assert np.allclose(Normal(mean, _whitening(covariance, components="all", share=0.9)).distance(rows), exact)


def test_principal_and_negligible_components_share_what_there_is():
    covariance = np.diag([90.0, 9.0, 1.0, 0.0])  # carry 0.90, 0.99 and 1.00
    kept = {kind: _whitening(covariance, components=kind, share=0.95) for kind in ("all", "principal", "negligible")}
    assert {kind: found.shape[1] for kind, found in kept.items()} == {"all": 3, "principal": 2, "negligible": 1}
    assert np.allclose(np.abs(kept["negligible"][:, 0]), [0, 0, 1, 0])
    assert np.allclose(np.abs(kept["principal"]).sum(axis=1), [1 / np.sqrt(90), 1 / 3, 0, 0])


def test_two_rows_are_not_blind_to_what_lies_beside_their_one_direction():
    mean, covariance = _shrunk(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    normal = Normal(mean, _whitening(covariance, components="all", share=0.9))
    along, beside = normal.distance(np.array([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]]))
    assert along == pytest.approx(beside)
    assert normal.distance(np.array([[1.0, 0.0, 0.0]])) < beside


def test_moments_in_parts_are_those_of_the_whole():
    rows = np.random.default_rng(0).normal(3, 2, (30, 4))
    moments = _Moments(4)
    moments.add(rows[:7])
    moments.add(rows[7:])
    mean, covariance = moments.result()
    assert np.allclose(mean, rows.mean(axis=0))
    assert np.allclose(covariance, np.cov(rows.T, bias=True))


def test_the_map_is_hot_where_the_defect_is(cases, fitted_once):
    heat = fitted_once("gaussian").explain([cases["gaussian"].anomalous[0]])[0]  # 96 x 96, red from 20 to 44
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (np.abs((np.array([row, column]) + 0.5) / len(heat) * 96 - 32) < 24).all()


def test_one_image_is_too_few(cases, listed):
    with pytest.raises(ModelError, match="1 images"):
        cases["gaussian"].make().fit(listed(cases["gaussian"].normal[:1]), seed=0)


def test_embeddings_are_one_row_an_image(cases, fitted_once):
    detector = fitted_once("gaussian")
    assert detector.embed(cases["gaussian"].fresh).shape == (6, detector.embed_size) == (6, 40 + 112 + 320)
    assert detector.embed([]).shape == (0, 472)
