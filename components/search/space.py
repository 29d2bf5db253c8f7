"""What a search may change: for every detector its parameters, their ranges and defaults, read from YAML."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from components.core.contracts import Params
from components.core.errors import ConfigError
from components.core.yamlfile import read_yaml

SPACES_FILE = Path(__file__).parents[2] / "configs" / "search_spaces.yaml"

Value = bool | int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FloatRange(_Part):
    """A real number between `low` and `high`, both included; `log`: drawn evenly by its logarithm."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    default: float
    what: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _check_range(self.low, self.high, default=self.default, log=self.log)
        return self

    def problem(self, value: object) -> str:
        """Why `value` does not belong here, or ""."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, got {shown(value)}"
        # False for NaN and for infinity too.
        return "" if self.low <= value <= self.high else f"must lie in [{self.low}, {self.high}], got {shown(value)}"

    def as_schema(self) -> dict[str, Any]:
        """JSON schema of the values."""
        return {"type": "number", "minimum": self.low, "maximum": self.high, "description": self.what}


class IntRange(_Part):
    """A whole number between `low` and `high`, both included; `log`: drawn evenly by its logarithm."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = False
    default: int
    what: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _check_range(self.low, self.high, default=self.default, log=self.log)
        return self

    def problem(self, value: object) -> str:
        """Why `value` does not belong here, or ""."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"must be a whole number, got {shown(value)}"
        return "" if self.low <= value <= self.high else f"must lie in [{self.low}, {self.high}], got {shown(value)}"

    def as_schema(self) -> dict[str, Any]:
        """JSON schema of the values."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high, "description": self.what}


class Categorical(_Part):
    """One of `choices`, which have no order."""

    type: Literal["categorical"]
    choices: tuple[Value, ...] = Field(min_length=1)
    default: Value
    what: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.problem(self.default):
            raise ValueError(f"default {self.default!r} is none of the choices")
        return self

    def problem(self, value: object) -> str:
        """Why `value` does not belong here, or ""."""
        # 1 == 1.0 == True in Python; a configuration must not change its type on the way.
        known = any(type(value) is type(choice) and value == choice for choice in self.choices)
        return "" if known else f"must be one of {list(self.choices)}, got {shown(value)}"

    def as_schema(self) -> dict[str, Any]:
        """JSON schema of the values."""
        return {"enum": list(self.choices), "description": self.what}


Parameter = Annotated[FloatRange | IntRange | Categorical, Field(discriminator="type")]

_FILE: TypeAdapter[dict[str, dict[str, Parameter]]] = TypeAdapter(dict[str, dict[str, Parameter]])


class SearchSpace(_Part):
    """The parameters of one detector that a search may change.

    Attributes:
        detector: Registered name of the detector.
        parameters: Name → range.
        pinned: Parameters that the line fixed: part of every configuration, never searched.
    """

    detector: str
    parameters: dict[str, Parameter]
    pinned: dict[str, Any] = {}

    def pin(self, params: Params) -> "SearchSpace":
        """This space with `params` fixed; they may lie outside the ranges, the detector itself judges them."""
        free = {name: parameter for name, parameter in self.parameters.items() if name not in params}
        return self.model_copy(update={"parameters": free, "pinned": {**self.pinned, **params}})

    def defaults(self) -> dict[str, Value]:
        """The default of every free parameter."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    @property
    def detectors(self) -> tuple[str, ...]:
        """The one detector."""
        return (self.detector,)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to search."""
        return not self.parameters

    def filled(self, params: Mapping[str, Any], *, detector: str) -> dict[str, Value]:
        """A configuration with what `params` say of the free parameters, the defaults elsewhere.

        Args:
            params: Others than free ones are left out.
            detector: This space's own.
        """
        assert detector == self.detector
        return {**self.defaults(), **self.free(params)}

    def free(self, params: Params) -> dict[str, Any]:
        """The free parameters among `params`."""
        return {name: value for name, value in params.items() if name in self.parameters}

    def full(self, params: Params) -> dict[str, Any]:
        """A whole configuration: the free parameters `params` and the pinned ones."""
        return {**params, **self.pinned}

    def detector_of(self, params: Params) -> str:  # noqa: ARG002 - there is no choice
        """The detector that the configuration `params` is for."""
        return self.detector

    def choices(self, detector: str | None = None) -> dict[str, "Parameter"]:
        """What is drawn before the detector is known, which is nothing, and once it is."""
        return {} if detector is None else self.parameters

    @staticmethod
    def to_study(params: Params) -> dict[str, Any]:
        """The configuration `params` under its names in a study."""
        return dict(params)

    @staticmethod
    def of_study(params: Params) -> dict[str, Any]:
        """The configuration whose names in a study `params` bears."""
        return dict(params)

    def problem(self, params: Mapping[str, object]) -> str:
        """What is wrong with `params` as values of the free parameters, or ""."""
        unknown = sorted(map(shown, set(params) - set(self.parameters)))
        missing = sorted(set(self.parameters) - set(params))
        if unknown:
            return f"unknown parameter {', '.join(unknown)}; the free ones are {', '.join(self.parameters) or 'none'}"
        if missing:
            return f"missing parameter {', '.join(missing)}"
        return _first(
            f"{name} {problem}" for name, p in self.parameters.items() if (problem := p.problem(params[name]))
        )

    def validate_params(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """`params` in the space's order, whole numbers of real parameters as floats.

        Raises:
            ConfigError: A parameter is unknown, missing, of another type or out of its range.
        """
        if problem := self.problem(params):
            raise outside(self.detector, problem)
        return {
            name: float(params[name]) if isinstance(parameter, FloatRange) else params[name]
            for name, parameter in self.parameters.items()
        }

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of a configuration of the free parameters, for a language model."""
        return {
            "type": "object",
            "properties": {name: parameter.as_schema() for name, parameter in self.parameters.items()},
            "required": list(self.parameters),
            "additionalProperties": False,
        }


def load_space(detector: str, *, path: Path = SPACES_FILE) -> SearchSpace:
    """The search space of `detector` from the YAML file at `path`, else ours: a workspace may be older than a detector.

    Raises:
        ConfigError: The file is missing, no YAML, says something unknown or impossible, or lacks the detector.
    """
    spaces = read_yaml(SPACES_FILE, into=_FILE) | read_yaml(path, into=_FILE)
    if detector not in spaces:
        raise ConfigError(
            f"{path} has no search space for detector {detector!r}.", hint=f"It has: {', '.join(sorted(spaces))}."
        )
    return SearchSpace(detector=detector, parameters=spaces[detector])


def outside(what: str, problem: str) -> ConfigError:
    """The error for parameters of `what` that are in no search space."""
    return ConfigError(
        f"Parameters of {what} are not in the search space: {problem}.", hint="Stay within search_spaces.yaml."
    )


def _check_range(low: float, high: float, *, default: float, log: bool) -> None:
    if not low <= default <= high:
        raise ValueError(f"default {default} is outside [{low}, {high}]")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must start above 0, got {low}")


def _first(problems: Iterable[str]) -> str:
    return next(iter(problems), "")


def shown(value: object) -> str:
    """`value` in a message; what a language model or a file says may be of any length."""
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


_LONGEST_SHOWN = 60
_LARGEST_SHOWN = 10**30
"""Python refuses to print whole numbers of more than 4,300 digits."""
