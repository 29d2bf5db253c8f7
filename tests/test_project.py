"""What must hold of the whole tree: who is imported from where, docstrings, sizes, layers, the lock."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agents", "components", "flows")
LONGEST_MODULE = 500
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", PACKAGES)
def test_our_packages_come_from_the_root(package: str) -> None:
    assert importlib.import_module(package).__file__ == str(ROOT / package / "__init__.py")


def test_mlflow_is_the_installed_one_though_the_root_has_a_folder_of_that_name() -> None:
    spec = find_spec("mlflow")
    assert spec is not None
    assert spec.origin is not None, "mlflow is the folder at the root, taken for a namespace package"
    assert not Path(spec.origin).is_relative_to(ROOT / "mlflow")
    assert not list((ROOT / "mlflow").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_a_docstring_and_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "say in one line what the module is for"
    assert len(text.splitlines()) <= LONGEST_MODULE


def test_no_init_file_lies_below_tests_and_names_of_test_files_are_unique() -> None:
    files = list((ROOT / "tests").rglob("*.py"))
    assert not [name_of(path) for path in files if path.name == "__init__.py"]
    names = [path.name for path in files if path.name != "conftest.py"]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_layers_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def locked() -> dict[str, Version]:
    """Name → version of every line of requirements.lock; a line that pins nothing fails here."""
    pins: dict[str, Version] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip().removesuffix("\\").strip()
        if not text or text.startswith("--hash"):
            continue
        pin = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;]+)(?: *;.*)?", text)
        assert pin, f"requirements.lock: {line!r} is not a pin"
        pins[canonicalize_name(pin[1])] = Version(pin[2])
    return pins


def test_the_lock_pins_every_direct_dependency_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [Requirement(text) for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]
    pins = locked()
    assert [str(need) for need in wanted if canonicalize_name(need.name) not in pins] == []
    assert [str(need) for need in wanted if pins[canonicalize_name(need.name)] not in need.specifier] == []


def test_the_lock_has_no_local_versions() -> None:
    # torch 2.14.1+cpu is a name of one index only; a fresh machine finds 2.14.1.
    assert {name: str(version) for name, version in locked().items() if version.local} == {}
