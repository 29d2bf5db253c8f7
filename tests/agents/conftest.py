"""A small search: a space, data facts, labels, scores that one parameter makes better, and what runs them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from agents.checkpoints import open_saver
from agents.graphs.limits import BuilderLimits
from agents.knowledge.heuristics import DataFacts
from components.core.contracts import Modality
from components.core.errors import UnavailableError
from components.search.lease import Owner
from components.search.space import Parameter, SearchSpace
from components.search.storage import open_storage
from components.search.study import Study
from components.testing.databases import KINDS, empty_database


@pytest.fixture(params=KINDS)
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database, once on each kind."""
    try:
        with empty_database(request.param, folder=tmp_path) as url:
            yield url
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables of studies and checkpoints and nothing in them; to make them takes a while."""
    path = tmp_path_factory.mktemp("tables") / "empty.db"
    url = f"sqlite:///{path}"
    open_storage(url).engine.dispose()
    with open_saver(url):
        pass
    return path


@pytest.fixture
def url(tables: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(tables, tmp_path / 'test.db')}"


@pytest.fixture
def space() -> SearchSpace:
    parameters = TypeAdapter(dict[str, Parameter]).validate_python(
        {
            "rate": {"type": "float", "low": 0.001, "high": 1.0, "log": True, "default": 0.01},
            "depth": {"type": "int", "low": 1, "high": 9, "default": 3},
        }
    )
    return SearchSpace(detector="toy", parameters=parameters)


@pytest.fixture
def facts() -> DataFacts:
    return DataFacts(modality=Modality.TABLE, train_samples=100, validation_samples=80, synthetic=True, features=4)


@pytest.fixture
def labels() -> NDArray[np.int8]:
    return np.repeat(np.array([0, 1], dtype=np.int8), 40)


@pytest.fixture
def evaluate(labels: NDArray[np.int8]) -> Callable[[dict[str, Any], int], NDArray[np.float64]]:
    """The larger `rate`, the further apart the classes."""
    noise = np.random.default_rng(0).normal(size=80)

    def run(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        separated: NDArray[np.float64] = noise + labels * (0.5 + 2 * params["rate"])
        return separated

    return run


@pytest.fixture
def limits() -> BuilderLimits:
    return BuilderLimits(trials=5, seconds=600, money=1, patience=99, tools={"evaluate": 100})


@pytest.fixture
def open_study(space: SearchSpace) -> Iterator[Callable[..., Study]]:
    """Opens studies named "s"; holders whose name begins with "dead" are gone."""
    opened: list[Study] = []

    def run(url: str, *, holder: str = "me", space: SearchSpace = space) -> Study:
        owner = Owner(holder=holder, is_gone=lambda name: name.startswith("dead"))
        opened.append(Study.open(url, name="s", space=space, seed=7, owner=owner))
        return opened[-1]

    yield run
    for study in opened:
        study.close()
