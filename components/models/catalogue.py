"""The detectors there are: an explicit list that loads none of their modules."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.contracts import Modality
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
    ),
    "gaussian": Entry(
        modality=Modality.IMAGE,
        module="gaussian",
        cls="Gaussian",
        params=GaussianParams,
        weights=("efficientnet-lite0",),
    ),
    "dino-memory": Entry(
        modality=Modality.IMAGE,
        module="dino_memory",
        cls="DinoMemory",
        params=DinoMemoryParams,
        weights=("dino-vits14",),
        minutes=0.7,
        left_out=_LEFT_OUT,
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
    ),
    "reference": Entry(
        modality=Modality.IMAGE,
        module="dino_memory",
        cls="Reference",
        params=ReferenceParams,
        weights=("dino-vits14",),
        for_labels=True,
        minutes=0.7,
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
    "deepsad": Entry(modality=Modality.TABLE, module="deepsad", cls="DeepSAD", params=DeepSADParams),
    "ecod": Entry(modality=Modality.TABLE, module="baselines", cls="ECOD", params=BaselineParams, baseline=True),
    "isolation-forest": Entry(
        modality=Modality.TABLE, module="baselines", cls="IsolationForest", params=IsolationForestParams, baseline=True
    ),
    "knn": Entry(modality=Modality.TABLE, module="neighbours", cls="KNN", params=NeighbourParams, baseline=True),
    "lof": Entry(modality=Modality.TABLE, module="neighbours", cls="LOF", params=LOFParams, baseline=True),
    "mahalanobis": Entry(
        modality=Modality.TABLE,
        module="neighbours",
        cls="Mahalanobis",
        params=NeighbourParams,
        baseline=True,
    ),
}
