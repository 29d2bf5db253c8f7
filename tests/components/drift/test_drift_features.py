import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter, laplace

from components.core.contracts import Column, TableSchema
from components.drift.features import embedding_features, optics, table_features


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(height, width, 3)).astype(np.uint8)


def test_flat_grey_image_by_hand() -> None:
    row = optics([np.full((40, 50, 3), 51, dtype=np.uint8)]).iloc[0]
    assert row["brightness"] == pytest.approx(0.2)
    assert row["contrast"] == pytest.approx(0.0, abs=1e-6)
    assert row[["saturation", "red balance", "blue balance"]].abs().max() == 0.0
    assert row["sharpness"] == pytest.approx(2 * np.log(1 / 255))


def test_colour_by_hand() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[..., 0], image[..., 1] = 254, 126
    row = optics([image]).iloc[0]
    assert row["saturation"] == pytest.approx(1.0)
    assert row["red balance"] == pytest.approx(np.log(255 / 127), abs=1e-6)
    assert row["blue balance"] == pytest.approx(np.log(1 / 127), abs=1e-6)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    image = _noise(60, 80)
    luma = image.astype(float) @ [0.299, 0.587, 0.114] / 255
    expected = np.log(laplace(luma)[1:-1, 1:-1].var() + 255.0**-2)
    assert optics([image])["sharpness"][0] == pytest.approx(expected, abs=1e-5)


def test_large_images_are_sampled_faithfully() -> None:
    small, large = _noise(256, 256), _noise(1_000, 1_100)
    assert np.allclose(optics([small]), optics([large]), atol=0.02)
    blurred = gaussian_filter(large, (2, 2, 0))
    assert optics([blurred])["sharpness"][0] < optics([large])["sharpness"][0] - 2


def test_optics_leaves_images_alone() -> None:
    image = _noise(40, 40)
    before = image.copy()
    optics([image])
    assert (image == before).all()


def test_embedding_components_span_a_flat_cloud() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 50))
    cloud = rng.normal(size=(90, 2)) @ plane
    old, new = embedding_features(cloud[:60], cloud[60:])
    assert list(old) == ["embedding 1", "embedding 2", "embedding rest"]
    assert old["embedding rest"].max() < 1e-6
    centred = cloud - cloud.mean(axis=0)
    both = pd.concat([old, new])
    assert np.allclose(np.linalg.norm(both, axis=1), np.linalg.norm(centred, axis=1))


@pytest.mark.parametrize("shape", [(30, 200), (200, 30)])
def test_embedding_basis_does_not_know_which_side_is_which(shape: tuple[int, int]) -> None:
    cloud = np.random.default_rng(1).normal(size=shape)
    old, new = embedding_features(cloud[:20], cloud[20:])
    assert old.shape == (20, 17)
    first, second = embedding_features(cloud[20:], cloud[:20])
    assert np.allclose(first, new)
    assert np.allclose(second, old)


def test_table_rows() -> None:
    schema = TableSchema(
        features=(Column(name="t", kind="numeric"), Column(name="k", kind="categorical", categories=("a", "b")))
    )
    values = np.array([[[1.5, 0.0]], [[np.nan, 1.0]], [[2.0, 7.0]], [[3.0, np.nan]]])
    frame = table_features(values, schema)
    assert list(frame) == ["t", "t missing", "k", "k missing"]
    assert frame["t missing"].tolist() == [0, 1, 0, 0]
    assert frame["k"].tolist() == ["a", "b", "unseen", None]


def test_table_windows() -> None:
    schema = TableSchema(
        features=(Column(name="t", kind="numeric"), Column(name="k", kind="categorical", categories=("a", "b"))),
        window=3,
    )
    values = np.array([[[1.0, 0], [3.0, 1], [np.nan, 1]], [[np.nan, np.nan]] * 3])
    frame = table_features(values, schema)
    assert frame["t mean"].tolist()[0] == 2.0
    assert frame["t std"].tolist()[0] == 1.0
    assert frame["t missing"].tolist() == pytest.approx([1 / 3, 1.0])
    assert frame["k"].tolist() == ["b", None]
    assert frame.loc[1, ["t mean", "t std"]].isna().all()


def test_columns_of_awkward_names_stay_apart() -> None:
    names = ("t", "t missing", "alarm rate")
    schema = TableSchema(features=tuple(Column(name=name, kind="numeric") for name in names))
    frame = table_features(np.zeros((2, 1, 3)), schema)
    assert frame.columns.is_unique
    assert "alarm rate" not in frame
