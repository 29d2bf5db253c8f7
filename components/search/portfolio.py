"""A search over several detectors: which one is a parameter like the others, and decides which others there are.

A configuration is flat, as for one detector: `{"detector": "knn", "neighbours": 5}`. Optuna sees every detector's
parameters under names of their own (`knn.neighbours`), since two detectors may give one name two ranges.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from components.core.contracts import Params
from components.search.space import SPACES_FILE, Categorical, Parameter, SearchSpace, Value, load_space, outside, shown

DETECTOR = "detector"
"""The parameter that says which detector a configuration is for."""

SEPARATOR = "."


class Portfolio(BaseModel):
    """The search spaces of several detectors, in place of a `SearchSpace`; a search begins with the first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spaces: tuple[SearchSpace, ...] = Field(min_length=2)

    @property
    def detectors(self) -> tuple[str, ...]:
        """Their names, in that order."""
        return tuple(space.detector for space in self.spaces)

    @property
    def is_empty(self) -> bool:
        """Never: there is a detector to choose."""
        return False

    def defaults(self) -> dict[str, Value]:
        """The default configuration of the first detector."""
        return self.filled({}, detector=self.spaces[0].detector)

    def filled(self, params: Mapping[str, Any], *, detector: str) -> dict[str, Value]:
        """The configuration of `detector` with `params` over its defaults."""
        return {DETECTOR: detector, **self._of(detector).filled(params, detector=detector)}

    def full(self, params: Params) -> dict[str, Any]:
        """A whole configuration: free and pinned parameters."""
        return {DETECTOR: params[DETECTOR], **self._of(params[DETECTOR]).full(_others(params))}

    def free(self, params: Params) -> dict[str, Any]:
        """The free parameters of a whole configuration."""
        return {DETECTOR: params[DETECTOR], **self._of(params[DETECTOR]).free(_others(params))}

    def problem(self, params: Mapping[str, object]) -> str:
        """What is wrong with `params` as a configuration, or ""."""
        detector = params.get(DETECTOR)
        if detector not in self.detectors:
            return f"{DETECTOR} must be one of {list(self.detectors)}, got {shown(detector)}"
        return self._of(str(detector)).problem(_others(params))

    def validate_params(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """`params` in the space's order; see `SearchSpace.validate_params`.

        Raises:
            ConfigError: It is no configuration of any of the detectors.
        """
        if problem := self.problem(params):
            raise outside("several detectors", problem)
        return {DETECTOR: params[DETECTOR], **self._of(params[DETECTOR]).validate_params(_others(params))}

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of a configuration, for a language model: one alternative a detector."""
        alternatives = []
        for space in self.spaces:
            schema = space.json_schema()
            schema["properties"] = {DETECTOR: {"const": space.detector}, **schema["properties"]}
            schema["required"] = [DETECTOR, *schema["required"]]
            alternatives.append(schema)
        return {"anyOf": alternatives}

    def detector_of(self, params: Params) -> str:
        """The detector that the configuration `params` is for."""
        return str(params.get(DETECTOR, self.detectors[0]))

    def choices(self, detector: str | None = None) -> dict[str, Parameter]:
        """The choice among the detectors, and once one is chosen its parameters under their names in a study."""
        names = Categorical(type="categorical", choices=self.detectors, default=self.detectors[0])
        if detector is None:
            return {DETECTOR: names}
        own = {f"{detector}{SEPARATOR}{name}": part for name, part in self._of(detector).parameters.items()}
        return {DETECTOR: names, **own}

    @staticmethod
    def to_study(params: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration `params` under its names in a study."""
        prefix = params[DETECTOR] + SEPARATOR
        return {name if name == DETECTOR else prefix + name: value for name, value in params.items()}

    @staticmethod
    def of_study(params: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration whose names in a study `params` bears."""
        prefix = params[DETECTOR] + SEPARATOR
        return {name.removeprefix(prefix): value for name, value in params.items()}

    def _of(self, detector: str) -> SearchSpace:
        return next(space for space in self.spaces if space.detector == detector)


Space = SearchSpace | Portfolio


def load_spaces(detectors: tuple[str, ...], *, pinned: Params, path: Path = SPACES_FILE) -> Space:
    """What a search over `detectors` may change, from the YAML file at `path`; `pinned` are the first one's.

    Raises:
        ConfigError: See `load_space`.
    """
    first, *others = (load_space(detector, path=path) for detector in detectors)
    first = first.pin(pinned)
    return Portfolio(spaces=(first, *others)) if others else first


def _others(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name != DETECTOR}
