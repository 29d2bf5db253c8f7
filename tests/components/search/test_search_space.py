"""Search spaces: what they accept, refuse and say."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.core.errors import ConfigError
from components.search.space import SearchSpace, load_space

GOOD: dict[str, Any] = {"rate": 0.5, "depth": 3, "stages": "1-2"}


def test_good_parameters_pass_in_the_spaces_order(space: SearchSpace) -> None:
    assert list(space.validate_params({"stages": "1-2", "depth": 3, "rate": 1}).items()) == [
        ("rate", 1.0),
        ("depth", 3),
        ("stages", "1-2"),
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate": 2.0}, r"rate must lie in \[0.001, 1.0\], got 2.0"),
        ({"rate": float("nan")}, r"rate must lie in .* got nan"),
        ({"rate": True}, "rate must be a number"),
        ({"rate": "0.5"}, "rate must be a number"),
        ({"rate": 10**5000}, "rate must lie in .* got a huge number"),
        ({"depth": -(10**5000)}, "got a huge number"),
        ({"x" * 999: 1}, r"unknown parameter 'x{59}\.\.\.;"),
        ({"depth": 3.0}, "depth must be a whole number"),
        ({"depth": 0}, r"depth must lie in \[1, 9\]"),
        ({"stages": "3-4"}, "stages must be one of"),
        ({"stages": ["1-2"]}, "stages must be one of"),
        ({"other": 1}, "unknown parameter 'other'; the free ones are rate, depth, stages"),
    ],
)
def test_bad_parameters_are_named(space: SearchSpace, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        space.validate_params({**GOOD, **change})


def test_missing_parameters_are_named(space: SearchSpace) -> None:
    with pytest.raises(ConfigError, match="missing parameter depth, stages"):
        space.validate_params({"rate": 0.5})


def test_choices_keep_their_type() -> None:
    space = SearchSpace.model_validate(
        {"detector": "toy", "parameters": {"eta": {"type": "categorical", "choices": [1, 2], "default": 1}}}
    )
    assert space.problem({"eta": 2}) == ""
    assert "must be one of" in space.problem({"eta": True})
    assert "must be one of" in space.problem({"eta": 1.0})


def test_pinned_parameters_are_not_searched_and_may_lie_outside(space: SearchSpace) -> None:
    pinned = space.pin({"rate": 5.0, "backbone": "other"})
    assert pinned.defaults() == {"depth": 3, "stages": "2-3"}
    assert pinned.full(pinned.defaults()) == {"depth": 3, "stages": "2-3", "rate": 5.0, "backbone": "other"}
    assert "unknown parameter 'rate'" in pinned.problem({**pinned.defaults(), "rate": 0.5})


def test_json_schema_says_the_same_as_the_space(space: SearchSpace) -> None:
    schema = space.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(space.defaults(), schema)
    for bad in ({"rate": 2.0}, {"depth": 3.5}, {"stages": "x"}, {"other": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**GOOD, **bad}, schema)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("toy: {a: {type: float, low: 0, high: 1, log: true, default: 0.5}}", "must start above 0"),
        ("toy: {a: {type: int, low: 1, high: 3, default: 9}}", "outside"),
        ("toy: {a: {type: categorical, choices: [1], default: 2}}", "none of the choices"),
        ("toy: {a: {type: int, low: 1, high: 3, default: 2, step: 2}}", "step"),
        ("toy: {a: {type: magic}}", "magic"),
        ("toy: {a: {type: float, low: 0, high: .inf, default: 1}}", "finite"),
        ("toy: [", "not YAML"),
        ("other: {}", "no search space for detector 'toy'"),
    ],
)
def test_impossible_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "spaces.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_space("toy", path=path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"spaces\.yaml is missing"):
        load_space("toy", path=tmp_path / "spaces.yaml")


def test_a_workspace_older_than_a_detector_gets_the_shipped_space(tmp_path: Path) -> None:
    path = tmp_path / "spaces.yaml"
    path.write_text("deepsad: {eta: {type: float, low: 1, high: 2, default: 1.5}}")
    assert load_space("memory-bank", path=path) == load_space("memory-bank")
    assert list(load_space("deepsad", path=path).parameters) == ["eta"]
