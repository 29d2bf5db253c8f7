"""What every detector is tried on: small images and tables, with anomalies that nobody could miss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from components.core.contracts import Column, Scores, TableSchema
from components.core.network import WholeNetwork
from components.core.ports import Batch, Detector
from components.models import registry
from components.models.catalogue import DETECTORS
from components.models.images import scaled

SCHEMA = TableSchema(
    features=(
        Column(name="flow", kind="numeric"),
        Column(name="pressure", kind="numeric"),
        Column(name="mode", kind="categorical", categories=("a", "b")),
    )
)

QUICK: dict[str, dict[str, Any]] = {
    "memory-bank": {"image_size": 64, "coreset_ratio": 0.1},
    "gaussian": {"image_size": 64},
    "dino-memory": {"image_size": 112, "blocks": "6", "coreset_ratio": 0.1},
    "ensemble": {"bank_size": 64, "dino_size": 112, "dino_blocks": "6"},
    "reference": {"image_size": 112, "blocks": "6", "coreset_ratio": 0.1},
    "padim": {"image_size": 64, "features": 40},
    "stfpm": {"image_size": 64, "steps": 20},
    "supersimplenet": {"image_size": 128, "steps": 20, "batch_size": 2, "noise": 1.0, "learning_rate": 3e-3},
    "draem": {"image_size": 128, "steps": 10, "copies": 8, "batch_size": 4, "training": "f32"},
    "dinomaly": {"image_size": 112, "steps": 3, "learning_rate": 5e-3},
    "inp-former": {"image_size": 112, "steps": 3, "learning_rate": 5e-3},
    "deepsad": {"epochs": 10, "pretrain_epochs": 5, "seeds": 2},
    "ecod": {},
    "isolation-forest": {"trees": 30, "subsample": 64},
    "knn": {},
    "lof": {},
    "mahalanobis": {},
}

ZOO = ("padim", "stfpm", "supersimplenet", "draem", "dinomaly", "inp-former")
IMAGES = ("memory-bank", "gaussian", "dino-memory", "ensemble", "reference", *ZOO)
DINO = ("dino-memory", "ensemble", "reference")
TABLES = ("deepsad", "ecod", "isolation-forest", "knn", "lof", "mahalanobis")


class Listed:
    """Samples in memory."""

    def __init__(self, data: Any, labels: Sequence[int] | None = None) -> None:
        self._data = data
        self.labels = np.zeros(len(data), np.int8) if labels is None else np.asarray(labels, np.int8)
        self.ids = [f"{number:064x}" for number in range(len(data))]

    def __len__(self) -> int:
        return len(self._data)

    def take(self, indices: Sequence[int]) -> Batch:
        if isinstance(self._data, np.ndarray):
            return self._data[list(indices)]
        return [self._data[index] for index in indices]


@dataclass(frozen=True)
class Case:
    """One detector and its data; `flat` holds samples from which nothing can be learned."""

    name: str
    normal: Any
    fresh: Any
    anomalous: Any
    flat: Any
    schema: TableSchema | None = None
    params: dict[str, Any] = field(default_factory=dict)

    def make(self, **params: Any) -> Detector:
        return registry.create(self.name, {**self.params, **params}, schema=self.schema)

    def fitted(self, seed: int = 0, **params: Any) -> Detector:
        detector = self.make(**params)
        detector.fit(Listed(self.normal), seed=seed)
        return detector


def stripes(seed: int, count: int) -> list[np.ndarray]:
    """Grey stripes of three aspects; in colour only in name."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        height, width = [(96, 96), (64, 128), (120, 80)][number % 3]
        wave = 128 + 50 * np.sin(np.arange(width) / 3 + random.uniform(0, 6))
        grey = np.clip(wave[None, :] + random.normal(0, 5, (height, width)), 0, 255).astype(np.uint8)
        found.append(np.repeat(grey[:, :, None], 3, axis=2))
    return found


def spotted(images: list[np.ndarray]) -> list[np.ndarray]:
    """The same with a bright red square."""
    found = [image.copy() for image in images]
    for image in found:
        image[20:44, 20:44] = (255, 0, 0)
    return found


def rows(seed: int, count: int, window: int = 1) -> np.ndarray:
    """``(N, W, 3)``: pressure follows flow, the mode is a or b, one flow in twenty is missing."""
    random = np.random.default_rng(seed)
    flow = random.normal(10, 1, (count, window))
    values = np.stack([flow, 2 * flow + random.normal(0, 0.1, flow.shape), random.integers(0, 2, flow.shape)], axis=2)
    values[random.random(flow.shape) < 0.05, 0] = np.nan
    return values


def broken(windows: np.ndarray) -> np.ndarray:
    """The same with a pressure of eight deviations more."""
    found = windows.copy()
    found[:, :, 1] += 16
    return found


def broken_everywhere(windows: np.ndarray) -> np.ndarray:
    """The same with nothing as it was: a detector that adds up columns lets no single one outvote the others."""
    found = np.full_like(windows, 40.0)
    found[:, :, 2] = -1
    return found


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    images, table = stripes(1, 6), rows(1, 40)
    pictures: dict[str, Any] = {
        "normal": stripes(0, 18),
        "fresh": images,
        "anomalous": spotted(images),
        "flat": [np.full((64, 64, 3), 7, np.uint8)] * 4,
    }
    tables: dict[str, Any] = {
        "normal": rows(0, 300),
        "fresh": table,
        "anomalous": broken(table),
        "flat": np.full((50, 1, 3), 1.0),
        "schema": SCHEMA,
    }
    # A vision transformer takes a while, and networks that are scored one image at a time take longer.
    fewer = {**pictures, "normal": pictures["normal"][:12]}
    few = {**pictures, "normal": pictures["normal"][:9], "fresh": images[:4], "anomalous": spotted(images[:4])}
    given = {**dict.fromkeys(IMAGES, pictures), **dict.fromkeys(DINO, fewer), **dict.fromkeys(ZOO, few)}
    given |= dict.fromkeys(TABLES, tables)
    for name in ("ecod", "isolation-forest"):
        given[name] = {**tables, "anomalous": broken_everywhere(table)}
    return {name: Case(name, params=QUICK[name], **data) for name, data in given.items()}


@pytest.fixture(params=list(DETECTORS))
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    return cases[request.param]


@pytest.fixture(scope="session")
def fitted_once(cases: dict[str, Case]) -> Callable[[str], Detector]:
    """A fitted detector by name, for tests that do not change it."""
    made: dict[str, Detector] = {}

    def get(name: str) -> Detector:
        if name not in made:
            made[name] = cases[name].fitted()
        return made[name]

    return get


@pytest.fixture
def detector(case: Case, fitted_once: Callable[[str], Detector]) -> Detector:
    return fitted_once(case.name)


@pytest.fixture(scope="session")
def listed() -> type[Listed]:
    return Listed


@pytest.fixture
def make_rows() -> Callable[..., np.ndarray]:
    return rows


Runs = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def by_each_runtime(network: WholeNetwork) -> list[Runs]:
    """The network by ONNX Runtime and by OpenVINO: what one computes rightly, the other has got wrong before."""
    from onnxruntime import InferenceSession
    from openvino import Core

    names = list(network.outputs)
    session = InferenceSession(network.onnx, providers=["CPUExecutionProvider"])
    core = Core()
    compiled = core.compile_model(core.read_model(network.onnx), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def by_openvino(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = compiled(values)
        return {name: found[name] for name in names}

    return [lambda values: dict(zip(names, session.run(names, values), strict=True)), by_openvino]


def inputs_of(image: np.ndarray, sizes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    return {name: scaled(image, height=height, width=width)[None] for name, (height, width) in sizes.items()}


def check_images(found: list[dict[str, np.ndarray]], expected: Scores, within: float) -> None:
    largest = np.abs(expected.image).max()
    around_zero = (expected.image < 0).any()  # an ensemble's, where a share of the score itself would be nothing
    scores = [float(one["score"][0]) for one in found]
    assert scores == pytest.approx(expected.image, rel=within, abs=within * largest if around_zero else None)
    if expected.uncertainty is not None:
        spreads = [float(one["uncertainty"][0]) for one in found]
        assert spreads == pytest.approx(expected.uncertainty, rel=1e-3, abs=1e-5 * largest)
    maps = np.concatenate([one["map"] for one in found])
    assert np.abs(maps - expected.maps).max() < 1e-4 * np.abs(expected.maps).max()


@pytest.fixture(scope="session")
def runtimes() -> Callable[[WholeNetwork], list[Runs]]:
    return by_each_runtime


@pytest.fixture(scope="session")
def check_network() -> Callable[..., None]:
    """That a network scores `images` as its detector does, and gives the same maps."""

    def check(detector: Detector, network: WholeNetwork, images: Sequence[Any], *, within: float = 1e-5) -> None:
        expected = detector.score(images)
        for run in by_each_runtime(network):
            check_images([run(inputs_of(image, network.preparation["sizes"])) for image in images], expected, within)

    return check
