from pathlib import Path

import pytest

from components.approve.actors import Actors
from components.core.contracts import Role
from components.core.errors import ConfigError, RefusedError


def test_roles_are_read_back(tmp_path: Path) -> None:
    actors = Actors(four_eyes=True, roles={"operator": Role.OVERRIDER}).with_role("anna", role=Role.ENGINEER)
    path = tmp_path / "actors.yaml"
    path.write_text(actors.dump(), encoding="utf-8")
    assert Actors.read(path) == actors
    assert actors.role_of("anna") is Role.ENGINEER
    assert path.read_text(encoding="utf-8") == "four_eyes: true\nroles:\n  operator: overrider\n  anna: engineer\n"


def test_whoever_is_not_declared_has_no_role() -> None:
    with pytest.raises(RefusedError, match="'bert' has no role"):
        Actors(roles={"anna": Role.VIEWER}).role_of("bert")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roles: {anna: king}", "roles.anna"),
        ("roles: {Anna: viewer}", "actor 'Anna'"),
        ("roles: {system: viewer}", "actor 'system'"),
        ("rules: {}", "rules"),
        ("four_eyes: perhaps", "four_eyes"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "actors.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        Actors.read(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        Actors.read(tmp_path / "actors.yaml")


def test_a_file_that_is_no_text_and_a_folder_in_its_place_are_told(tmp_path: Path) -> None:
    (tmp_path / "actors.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not YAML"):
        Actors.read(tmp_path / "actors.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        Actors.read(tmp_path)
