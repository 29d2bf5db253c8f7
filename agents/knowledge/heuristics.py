"""Which configurations are worth a trial for which data: heuristics with their sources, read from YAML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from components.core.contracts import Modality, Params, Record
from components.core.ports import Image, Samples
from components.core.yamlfile import read_yaml

FOLDER = Path(__file__).parent

LOOKED_AT = 8
"""Images whose size and colour tell what the others are like."""


class DataFacts(Record):
    """What an agent may know of a line's data. Counts and sizes alone; nothing of the test split.

    Attributes:
        train_samples: Normal training samples; trials are fitted on fewer where some are lent to validation.
        train_anomalies: Labelled anomalies beside them.
        validation_samples: Samples that trials are scored on.
        synthetic: Whether drawn anomalies are among those of validation.
        short_side, long_side: Median size of the images in pixels; None for tables.
        aspect: Median of the images' longer side by their shorter one; None for tables.
        grey: Whether the images have no colour; None for tables.
        features, window: Columns and rows of a window; None for images.
    """

    modality: Modality
    train_samples: int
    train_anomalies: int = 0
    validation_samples: int
    synthetic: bool
    short_side: int | None = None
    long_side: int | None = None
    aspect: float | None = None
    grey: bool | None = None
    features: int | None = None
    window: int | None = None


def image_facts(samples: Samples) -> dict[str, Any]:
    """What `DataFacts` says of images, by the first of `samples`."""
    images = cast(Sequence[Image], samples.take(range(min(LOOKED_AT, len(samples)))))
    sides = np.array([image.shape[:2] for image in images])
    return {
        "short_side": int(np.median(sides.min(axis=1))),
        "long_side": int(np.median(sides.max(axis=1))),
        "aspect": float(np.median(sides.max(axis=1) / sides.min(axis=1))),
        "grey": all(bool((image == image[..., :1]).all()) for image in images),
    }


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bound(_Part):
    """A condition on one fact; a fact that is not known never meets it."""

    at_least: float | None = None
    at_most: float | None = None
    equals: bool | str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.at_least is None and self.at_most is None and self.equals is None:
            raise ValueError("a condition needs at_least, at_most or equals")
        return self

    def is_met(self, fact: float | bool | str | None) -> bool:
        """Whether `fact` meets it."""
        if fact is None:
            return False
        if self.equals is not None:
            return fact == self.equals
        number = float(fact)
        return (self.at_least is None or number >= self.at_least) and (self.at_most is None or number <= self.at_most)


class Heuristic(_Part):
    """When the data are like `when`, `params` in place of the defaults are worth a trial, for the reason `why`.

    `detector` is the one that they are for, "" the default one; a file names it once for all. With what `begins` the
    detector is tried first, in place of its defaults: what is known so surely that drawn anomalies need not show it.
    """

    id: str
    detector: str = ""
    when: dict[str, Bound] = {}
    params: dict[str, Any] = Field(min_length=1)
    why: str
    source: str
    begins: bool = False

    @model_validator(mode="after")
    def _known_facts(self) -> Self:
        if unknown := sorted(set(self.when) - set(DataFacts.model_fields)):
            raise ValueError(f"no such fact: {', '.join(unknown)}")
        return self

    def fits(self, facts: DataFacts) -> bool:
        """Whether every condition is met."""
        return all(bound.is_met(getattr(facts, name)) for name, bound in self.when.items())


class _File(_Part):
    detector: str
    heuristics: tuple[Heuristic, ...]


def load_heuristics(detector: str, *, folder: Path = FOLDER) -> tuple[Heuristic, ...]:
    """The heuristics of `detector`, in the order they should be tried; none where there is no file for it.

    Raises:
        ConfigError: Its file is not YAML, or says something unknown.
    """
    path = folder / f"{detector}.yaml"
    found = read_yaml(path, into=TypeAdapter(_File)).heuristics if path.is_file() else ()
    return tuple(heuristic.model_copy(update={"detector": detector}) for heuristic in found)


def beginning(detector: str, *, facts: DataFacts) -> Params:
    """What a search first tries `detector` with, over its defaults."""
    fitting = (heuristic for heuristic in load_heuristics(detector) if heuristic.begins and heuristic.fits(facts))
    return next((heuristic.params for heuristic in fitting), {})
