"""`ensemble`: a memory bank and a DINO memory, the mean of whose standardised scores is an image's score.

A bank of convolutional features sees fine local detail, a transformer's patches see what does not belong. Which of the
two suits a line is hard to tell from the few anomalies that a search validates on; their mean is rarely far from the
better one, and often above both. Averages of standardised scores are the plainest ensemble of outlier detectors
(Aggarwal & Sathe, "Theoretical Foundations and Algorithms for Outlier Ensembles", SIGKDD Explorations 2015).

Members are put on one scale by their scores of normal training images as if they had not seen these (`LeftOut`): by
median and median absolute deviation. Mean and standard deviation would follow one unusual image, and models of folds
with and without it could not share a threshold.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.stats import median_abs_deviation

from ..core.contracts import Calibration, Modality, Params, Scores
from ..core.errors import ModelError
from ..core.network import SPREAD, WholeNetwork
from ..core.ports import Batch, Progress, Samples, silent
from ..core.scoring import score_all
from ..core.subset import evenly_spaced
from . import heads
from .bundle import read_bundle, write_bundle
from .dino_memory import DinoMemory
from .images import over_square
from .memory_bank import MemoryBank
from .onnx_graph import OnnxGraph, Value
from .params.features import DinoMemoryParams, EnsembleParams
from .params.images import MemoryBankParams

_IMAGES = 50
"""Training images that give a member's scale where it cannot say what it would have made of unseen ones."""


class _Scale(NamedTuple):
    """Of a member's scores of normal images the median, and how far they lie from it: a normal's standard deviation."""

    median: float
    deviation: float


class Ensemble:
    """See the module; a score is about 0 for the usual normal image, in the members' deviations above it.

    Attributes:
        facts: What the members' fits did, by their names; empty before.
    """

    name: ClassVar[str] = "ensemble"
    modality: ClassVar[Modality] = Modality.IMAGE
    uses_labels: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-4  # scores lie around 0, where a relative change is large
    memory_depends_on: ClassVar[tuple[str, ...]] = ("tiles", "bank_size", "dino_size")

    def __init__(
        self, params: EnsembleParams, *, bank: MemoryBank | None = None, dino: DinoMemory | None = None
    ) -> None:
        self.calibration: Calibration | None = None
        self.facts: dict[str, float | int | str] = {}
        self._params = params
        self._members: tuple[MemoryBank, DinoMemory] = (
            bank or MemoryBank(_bank_params(params)),
            dino or DinoMemory(_dino_params(params)),
        )
        self._scales: tuple[_Scale, ...] = ()
        self._left_out: NDArray[np.float64] | None = None

    @property
    def params(self) -> Params:
        """Every parameter."""
        return self._params.model_dump()

    @property
    def left_out_scores(self) -> NDArray[np.float64] | None:
        """See `components.core.ports.LeftOut`."""
        return self._left_out

    def memory_needed(self, samples: Samples) -> float:
        """See `components.core.ports.Foreseen`: as if both members were fitted at once, more than they take."""
        return sum(member.memory_needed(samples) for member in self._members)

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Fit the members one after the other, and see on which scale each scores."""
        self._scales, self._left_out, self.facts = (), None, {}
        for member in self._members:
            member.fit(samples, seed=seed, progress=progress)
        scales = tuple(_scale_of(member, samples) for member in self._members)
        by_bank, by_dino = (member.left_out_scores for member in self._members)
        if by_bank is not None and by_dino is not None and len(by_bank) == len(by_dino):
            self._left_out = _mean([by_bank, by_dino], scales)
        self._scales = scales
        self.facts = {f"{member.name} {key}": fact for member in self._members for key, fact in member.facts.items()}

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)``, maps ``(N, G, G)``, G places a side of the finer member's, and deviations ``(N,)``.

        The deviation takes the members' for independent.
        """
        self._fitted()
        every = [member.score(batch) for member in self._members]
        maps = [cast(NDArray[np.float32], scores.maps) for scores in every]
        spreads = [cast(NDArray[np.float64], scores.uncertainty) for scores in every]
        side = max(found.shape[1] for found in maps)
        same = [np.array([over_square(one, side=side) for one in found]).reshape(-1, side, side) for found in maps]
        deviations = [spread / scale.deviation for spread, scale in zip(spreads, self._scales, strict=True)]
        return Scores(
            image=_mean([scores.image for scores in every], self._scales),
            maps=_mean(same, self._scales).astype(np.float32),
            uncertainty=np.sqrt(np.sum(np.square(deviations), axis=0)) / len(deviations),
        )

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """The maps of `score`."""
        maps = self.score(batch).maps
        assert maps is not None
        return maps

    def save(self, directory: Path) -> None:
        """See `components.models.bundle`; each member's tensors and state bear its name."""
        self._fitted()
        write_bundle(
            directory,
            name=self.name,
            params=self._params.model_dump(),
            state={
                "facts": self.facts,
                "scales": [list(scale) for scale in self._scales],
                **{member.name: member.state() for member in self._members},
            },
            tensors={
                f"{member.name}.{key}": tensor for member in self._members for key, tensor in member.tensors().items()
            },
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """See `components.core.ports.Detector`."""
        found = read_bundle(directory)
        state, where = found.header.state, str(directory)
        incomplete = ModelError(f"{where} does not hold a whole {cls.name} model.", hint="Restore it.")
        try:
            params = EnsembleParams.model_validate(found.header.params)
            of_bank, of_dino = state[MemoryBank.name], state[DinoMemory.name]
            scales = tuple(_Scale(float(median), float(deviation)) for median, deviation in state["scales"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise incomplete from error
        if len(scales) != 2 or not all(np.isfinite(scale).all() and scale.deviation > 0 for scale in scales):
            raise incomplete
        detector = cls(
            params,
            bank=MemoryBank.restored(
                _bank_params(params).model_dump(),
                state=of_bank,
                tensors=_of(MemoryBank.name, found.tensors),
                where=where,
            ),
            dino=DinoMemory.restored(
                _dino_params(params).model_dump(),
                state=of_dino,
                tensors=_of(DinoMemory.name, found.tensors),
                where=where,
            ),
        )
        detector._scales, detector.facts = scales, state.get("facts", {})
        detector.calibration = found.header.calibration
        return detector

    def as_network(self) -> WholeNetwork:
        """See `components.core.ports.Detector`; the network takes an image at the sizes of both members."""
        self._fitted()
        networks = {member.name: member.as_network() for member in self._members}
        graph = OnnxGraph()
        graph.head()
        every = [graph.holding(network.onnx, under=f"{name}/") for name, network in networks.items()]
        side = max(found["map"].shape[1] for found in every)
        maps = [
            heads.repeated(graph, graph.reshape(found["map"], found["map"].shape[1:]), side=side) for found in every
        ]
        by_deviation = [_by(graph, found[SPREAD], scale) for found, scale in zip(every, self._scales, strict=True)]
        spread = graph.length(graph.joined(by_deviation, axis=0), axis=0, keep=True)
        graph.output("score", _drawn_mean(graph, [found["score"] for found in every], self._scales))
        graph.output(SPREAD, graph.times(spread, np.array(1 / len(every))))
        graph.output("map", graph.reshape(_drawn_mean(graph, maps, self._scales), (1, side, side)))
        sizes = {
            f"{name}/{given}": size
            for name, network in networks.items()
            for given, size in network.preparation["sizes"].items()
        }
        prepared = {key: value for network in networks.values() for key, value in network.preparation.items()}
        return WholeNetwork(
            onnx=graph.serialized(), outputs=("score", SPREAD, "map"), preparation={**prepared, "sizes": sizes}
        )

    def _fitted(self) -> None:
        if not self._scales:
            raise ModelError("This ensemble is not fitted yet.", hint="Call fit or load first.")


def _bank_params(params: EnsembleParams) -> MemoryBankParams:
    size, stages, top = params.bank_size, params.bank_stages, params.bank_top
    return MemoryBankParams(image_size=size, stages=stages, top_fraction=top, **_shared(params))


def _dino_params(params: EnsembleParams) -> DinoMemoryParams:
    size, blocks, top = params.dino_size, params.dino_blocks, params.dino_top
    return DinoMemoryParams(image_size=size, blocks=blocks, top_fraction=top, **_shared(params))


def _shared(params: EnsembleParams) -> dict[str, Any]:
    return {"tiles": params.tiles, "augment": params.augment}


def _of(member: str, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    prefix = f"{member}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _scale_of(member: MemoryBank | DinoMemory, samples: Samples) -> _Scale:
    """On what scale a fitted member scores normal images.

    Where half of them do not differ, the standard deviation stands for the median one, and where none do the median, so
    that the member still counts.
    """
    scores = member.left_out_scores
    if scores is None:
        scores = score_all(member, evenly_spaced(samples, most=_IMAGES)).image
    median, deviation = float(np.median(scores)), float(median_abs_deviation(scores, scale="normal"))
    return _Scale(median, next((found for found in (deviation, float(scores.std()), median) if found > 0), 1.0))


def _mean(every: Sequence[NDArray[Any]], scales: Sequence[_Scale]) -> NDArray[np.float64]:
    """Mean of the members' standardised scores."""
    standardised = [(found - scale.median) / scale.deviation for found, scale in zip(every, scales, strict=True)]
    mean: NDArray[np.float64] = np.mean(standardised, axis=0)
    return mean


def _drawn_mean(graph: OnnxGraph, every: Sequence[Value], scales: Sequence[_Scale]) -> Value:
    """`_mean` in an exported network."""
    centred = [graph.minus(one, np.array(scale.median)) for one, scale in zip(every, scales, strict=True)]
    first, second = (_by(graph, one, scale) for one, scale in zip(centred, scales, strict=True))
    return graph.times(graph.add(first, second), np.array(0.5))


def _by(graph: OnnxGraph, value: Value, scale: _Scale) -> Value:
    """`value` in deviations of the scale."""
    return graph.times(value, np.array(1 / scale.deviation))
