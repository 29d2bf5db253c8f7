"""The three databases, a small space, and how a study is opened by this process or by one that is gone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

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
    """A database with the tables of studies and nothing in them; to make them takes a while."""
    path = tmp_path_factory.mktemp("tables") / "empty.db"
    open_storage(f"sqlite:///{path}").engine.dispose()
    return path


@pytest.fixture
def url(tables: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(tables, tmp_path / 'study.db')}"


@pytest.fixture
def space() -> SearchSpace:
    parameters = TypeAdapter(dict[str, Parameter]).validate_python(
        {
            "rate": {"type": "float", "low": 0.001, "high": 1.0, "log": True, "default": 0.01},
            "depth": {"type": "int", "low": 1, "high": 9, "default": 3},
            "stages": {"type": "categorical", "choices": ["1-2", "2-3"], "default": "2-3"},
        }
    )
    return SearchSpace(detector="toy", parameters=parameters)


Opener = Callable[..., Study]


@pytest.fixture
def open_study(space: SearchSpace) -> Iterator[Opener]:
    """Opens studies named "s"; holders whose name begins with "dead" are gone."""
    opened: list[Study] = []

    def run(url: str, *, holder: str = "me", ttl: float = 20.0, space: SearchSpace = space, seed: int = 7) -> Study:
        owner = Owner(holder=holder, is_gone=lambda name: name.startswith("dead"), ttl=ttl)
        opened.append(Study.open(url, name="s", space=space, seed=seed, owner=owner))
        return opened[-1]

    yield run
    for study in opened:
        study.close()
