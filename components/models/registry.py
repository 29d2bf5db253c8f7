"""Detectors by name: which a line may have, made with parameters, loaded from a folder."""

import difflib
import math
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from ..core.contracts import Modality, TableSchema
from ..core.errors import ConfigError, UnavailableError, first_problem
from ..core.ports import Detector, Embedder
from .bundle import read_header
from .catalogue import DETECTORS, Entry
from .params.base import Params

_DEFAULTS = {Modality.IMAGE: "memory-bank", Modality.TABLE: "deepsad"}
"""What parameters belong to where a line names no detector, and what a search begins with where it may not the next."""

_ROBUST = {Modality.IMAGE: "ensemble", Modality.TABLE: "deepsad"}
"""What a search begins with, and keeps unless others are better beyond their error. Drawn anomalies often cannot tell
detectors apart that real ones do, and then it is the more robust that should stay, not the faster."""

PRACTICAL_MINUTES = 2.0
"""Detectors that take longer to fit are searched only where a line asks for them."""

EVERY = "all"
"""What a line writes as its detector to let the search try slow ones too."""


def portfolio(
    detector: str, *, modality: Modality, labels: bool, synthetic: bool, samples: float = math.inf
) -> tuple[str, ...]:
    """Names of the detectors that a search may choose among: the one that it begins with, then those it always tries.

    Args:
        detector: The line's: a registered name is the only one, `EVERY` all that are available here, and "" those of
            them that take `PRACTICAL_MINUTES` at most.
        modality: The line's.
        labels: Whether there are labelled anomalies to train on.
        synthetic: Whether drawn ones are among the anomalies that they are validated on.
        samples: Normal training samples.
    """
    if detector not in {"", EVERY}:
        return (detector,)
    longest = math.inf if detector == EVERY else PRACTICAL_MINUTES
    reasons = {name: reason for name, _, reason in available()}
    default = default_detector(modality)
    allowed = [
        name
        for name, entry in DETECTORS.items()
        if name == default
        or (
            entry.modality is modality
            and entry.minutes <= longest
            and entry.least <= samples
            and (labels or not entry.for_labels)
            and not (synthetic and entry.flattered)
            and not reasons[name]
        )
    ]
    first = _ROBUST[modality] if _ROBUST[modality] in allowed else default
    return tuple(sorted(allowed, key=lambda name: (name != first, not DETECTORS[name].baseline)))


def scored_left_out(name: str, params: Mapping[str, Any], *, samples: int) -> int:
    """Of so many normal training samples, how many the detector scores as if it had not seen them.

    Raises:
        ConfigError: There is no such detector, or a parameter is unknown or out of its range.
    """
    return min(samples, _entry(name).left_out) if _checked(name, params).scores_left_out else 0


def baselines(detectors: Iterable[str]) -> tuple[str, ...]:
    """Those of `detectors` that a search always tries."""
    return tuple(name for name in detectors if DETECTORS[name].baseline)


def default_detector(modality: Modality) -> str:
    """Name of the detector that a line's parameters are for unless it names another, and a search's last resort."""
    return _DEFAULTS[modality]


def default_embedder() -> Embedder:
    """The default image detector, unfitted, for what its features say of images.

    Raises:
        UnavailableError: Its weights are not on this machine.
    """
    made = create(default_detector(Modality.IMAGE), {}, schema=None)
    assert isinstance(made, Embedder)
    return made


def check_detector(name: str, *, modality: Modality) -> None:
    """Raise ConfigError unless `name` is `EVERY` or a detector for that modality."""
    if name == EVERY:
        return
    if _entry(name).modality is not modality:
        raise ConfigError(
            f"Detector {name!r} is for {_entry(name).modality} lines, this one is {modality}.",
            hint=f"Use {default_detector(modality)!r}.",
        )


def settled(name: str, params: Mapping[str, Any], *, samples: int) -> dict[str, Any]:
    """`params` with everything written out that the detector decides by how many normal training `samples` there are.

    Fits that leave a fold of them out then decide as the whole does.

    Raises:
        ConfigError: There is no such detector, or a parameter is unknown or out of its range.
    """
    checked = _checked(name, params)
    decided = checked.settled(samples)
    return {**params, **{key: value for key, value in decided if value != getattr(checked, key)}}


def create(name: str, params: Mapping[str, Any], *, schema: TableSchema | None) -> Detector:
    """A new detector with `params` over its defaults.

    Raises:
        ConfigError: There is no such detector, or a parameter is unknown or out of its range.
        UnavailableError: Its weights are not on this machine.
    """
    entry, checked = _entry(name), _checked(name, params)
    made = _class(entry)(checked) if schema is None else _class(entry)(checked, schema=schema)
    return cast(Detector, made)


def load(directory: Path) -> Detector:
    """The detector saved in `directory`.

    Raises:
        ModelError: It is not one, or not one that this release reads.
        ConfigError: It names an unknown detector.
    """
    return cast(Detector, _class(_entry(read_header(directory).name)).load(directory))


def available() -> list[tuple[str, Modality, str]]:
    """(name, modality, why it cannot be used here or "") of every detector."""
    from .weights import find_weights

    found = []
    for name, entry in DETECTORS.items():
        reason = ""
        for weights in entry.weights:
            try:
                find_weights(weights)
            except UnavailableError as error:
                reason = f"{error.message} {error.hint}"
        found.append((name, entry.modality, reason))
    return found


def _checked(name: str, params: Mapping[str, Any]) -> Params:
    try:
        return _entry(name).params.model_validate(dict(params))
    except ValidationError as error:
        raise ConfigError(f"Parameters of {name}: {first_problem(error)}.", hint="Correct the parameter.") from error


def _entry(name: str) -> Entry:
    if name in DETECTORS:
        return DETECTORS[name]
    close = difflib.get_close_matches(name, DETECTORS, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(DETECTORS)}."
    raise ConfigError(f"There is no detector {name!r}.", hint=hint)


def _class(entry: Entry) -> Any:
    return getattr(import_module(f".{entry.module}", __package__), entry.cls)
