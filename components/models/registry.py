"""The detectors there are: an explicit list, whose modules load when one of them is made."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from ..core.contracts import Modality, TableSchema
from ..core.errors import ConfigError, UnavailableError
from ..core.lines import first_problem
from ..core.ports import Detector, Embedder
from .bundle import read_header
from .params.base import Params
from .params.features import DinoMemoryParams, EnsembleParams, GaussianParams, ReferenceParams
from .params.images import MemoryBankParams
from .params.tables import BaselineParams, DeepSADParams, IsolationForestParams, LOFParams, NeighbourParams
from .params.zoo import DinomalyParams, DraemParams, InpFormerParams, PadimParams, StfpmParams, SuperSimpleNetParams


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One detector.

    Attributes:
        modality: What it scores.
        module, cls: Where its class is, below this package.
        params: Its parameters.
        weights: Names of the pretrained weights that it cannot do without.
        baseline: Whether a search over several detectors always tries it.
        for_labels: Whether it is another detector's equal while there are no labelled anomalies to learn from.
        flattered: Whether drawn anomalies judge it too well, so that they may not choose it: it is trained on drawn
            ones, or it knows what belongs in each place, and most drawn ones are cuts from another.
        minutes: Expected time of one fit on two cores, of 200 images of 256 px or 10,000 rows.
        least: Normal training samples without which no search tries it: of fewer it learns its own scale too
            coarsely, and the threshold that its folds share lies higher than the others'.
        left_out: Training samples at most that it scores as if it had not seen them; see `LeftOut`.
        exportable: Whether it is `components.core.exportable.Exportable`.
    """

    modality: Modality
    module: str
    cls: str
    params: type[Params]
    weights: tuple[str, ...] = ()
    baseline: bool = False
    for_labels: bool = False
    flattered: bool = False
    minutes: float = 0.0
    least: int = 0
    left_out: int = 0
    exportable: bool = False


_LEFT_OUT = 200
"""`left_out.IMAGES`, which this module does not import because it loads no detector's modules."""

DETECTORS: Mapping[str, Entry] = {
    "memory-bank": Entry(
        modality=Modality.IMAGE,
        module="memory_bank",
        cls="MemoryBank",
        params=MemoryBankParams,
        weights=("efficientnet-lite0",),
        left_out=_LEFT_OUT,
        exportable=True,
    ),
    "gaussian": Entry(
        modality=Modality.IMAGE,
        module="gaussian",
        cls="Gaussian",
        params=GaussianParams,
        weights=("efficientnet-lite0",),
        exportable=True,
    ),
    "dino-memory": Entry(
        modality=Modality.IMAGE,
        module="dino_memory",
        cls="DinoMemory",
        params=DinoMemoryParams,
        weights=("dino-vits14",),
        minutes=0.7,
        left_out=_LEFT_OUT,
        exportable=True,
    ),
    "ensemble": Entry(
        modality=Modality.IMAGE,
        module="ensemble",
        cls="Ensemble",
        params=EnsembleParams,
        weights=("efficientnet-lite0", "dino-vits14"),
        minutes=0.8,
        least=100,
        left_out=_LEFT_OUT,
        exportable=True,
    ),
    "reference": Entry(
        modality=Modality.IMAGE,
        module="dino_memory",
        cls="Reference",
        params=ReferenceParams,
        weights=("dino-vits14",),
        for_labels=True,
        minutes=0.7,
        exportable=True,
    ),
    "padim": Entry(
        modality=Modality.IMAGE,
        module="zoo.padim",
        cls="Padim",
        params=PadimParams,
        weights=("efficientnet-lite0",),
        flattered=True,
        minutes=0.2,
    ),
    "stfpm": Entry(
        modality=Modality.IMAGE,
        module="zoo.stfpm",
        cls="Stfpm",
        params=StfpmParams,
        weights=("efficientnet-lite0",),
        minutes=3.0,
    ),
    "supersimplenet": Entry(
        modality=Modality.IMAGE,
        module="zoo.supersimplenet",
        cls="SuperSimpleNet",
        params=SuperSimpleNetParams,
        weights=("efficientnet-lite0",),
        minutes=5.2,
    ),
    "draem": Entry(
        modality=Modality.IMAGE,
        module="zoo.draem",
        cls="Draem",
        params=DraemParams,
        weights=("efficientnet-lite0",),
        flattered=True,
        minutes=2.1,
    ),
    "dinomaly": Entry(
        modality=Modality.IMAGE,
        module="zoo.reconstruction",
        cls="Dinomaly",
        params=DinomalyParams,
        weights=("dino-vits14",),
        minutes=5.8,
    ),
    "inp-former": Entry(
        modality=Modality.IMAGE,
        module="zoo.reconstruction",
        cls="InpFormer",
        params=InpFormerParams,
        weights=("dino-vits14",),
        minutes=4.9,
    ),
    "deepsad": Entry(modality=Modality.TABLE, module="deepsad", cls="DeepSAD", exportable=True, params=DeepSADParams),
    "ecod": Entry(modality=Modality.TABLE, module="baselines", cls="ECOD", params=BaselineParams, baseline=True),
    "isolation-forest": Entry(
        modality=Modality.TABLE, module="baselines", cls="IsolationForest", params=IsolationForestParams, baseline=True
    ),
    "knn": Entry(
        modality=Modality.TABLE, module="neighbours", cls="KNN", params=NeighbourParams, baseline=True, exportable=True
    ),
    "lof": Entry(
        modality=Modality.TABLE, module="neighbours", cls="LOF", params=LOFParams, baseline=True, exportable=True
    ),
    "mahalanobis": Entry(
        modality=Modality.TABLE,
        module="neighbours",
        cls="Mahalanobis",
        params=NeighbourParams,
        baseline=True,
        exportable=True,
    ),
}

_DEFAULTS = {Modality.IMAGE: "memory-bank", Modality.TABLE: "deepsad"}


PRACTICAL_MINUTES = 2.0
"""Detectors that take longer to fit are searched only where a line asks for them."""

EVERY = "all"
"""What a line writes as its detector to let the search try slow ones too."""


def portfolio(
    detector: str, *, modality: Modality, labels: bool, synthetic: bool, samples: float = math.inf
) -> tuple[str, ...]:
    """Names of the detectors that a search may choose among, the default first, then those it always tries.

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
    others = [
        name
        for name, entry in DETECTORS.items()
        if entry.modality is modality
        and name != default
        and entry.minutes <= longest
        and entry.least <= samples
        and (labels or not entry.for_labels)
        and not (synthetic and entry.flattered)
        and not reasons[name]
    ]
    return (default, *sorted(others, key=lambda name: not DETECTORS[name].baseline))


def scored_left_out(name: str, *, samples: int) -> int:
    """Of so many normal training samples, how many the detector scores as if it had not seen them."""
    return min(samples, _entry(name).left_out)


def baselines(detectors: Iterable[str]) -> tuple[str, ...]:
    """Those of `detectors` that a search always tries."""
    return tuple(name for name in detectors if DETECTORS[name].baseline)


def exportable() -> tuple[str, ...]:
    """Names of the detectors that can be written as one network; see `components.core.exportable`."""
    return tuple(name for name, entry in DETECTORS.items() if entry.exportable)


def default_detector(modality: Modality) -> str:
    """Name of the detector that a line of this modality gets unless it names another."""
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


def parameter_model(name: str) -> type[Params]:
    """Class of the detector's parameters.

    Raises:
        ConfigError: There is no such detector.
    """
    return _entry(name).params


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
