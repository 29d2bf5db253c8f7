"""Memories of normal patches: how one is sampled, thinned and compared with, whatever the features are.

After PatchCore (Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", CVPR): an image's patches are
compared with a coreset of those of normal images, and the mean of its most anomalous ones is its score.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import Params, Scores
from ..core.errors import ModelError
from ..core.network import SPREAD
from ..core.ports import Batch, Image, Progress, Samples, silent
from ..core.scoring import join
from ..core.seeds import generator
from . import heads
from .backbones import Backbone
from .coreset import Coreset, k_centres
from .images import over_square
from .inference import Floats
from .left_out import left_out_scores
from .nearest import Bank
from .on_backbone import BackboneParams, OnBackbone, in_parts
from .onnx_graph import OnnxGraph, Value
from .params.base import Augment
from .preflight import memory_bytes
from .resampled import Halves
from .sampling import Sampled, Share, sampled
from .spread_scale import spread_scale
from .views import View, views_of


class _MemoryParams(BackboneParams, Protocol):
    @property
    def coreset_ratio(self) -> float: ...

    @property
    def neighbours(self) -> int: ...

    @property
    def top_fraction(self) -> float: ...

    @property
    def max_patches(self) -> int: ...

    @property
    def augment(self) -> Augment: ...

    def settled(self, samples: int) -> Self: ...


P = TypeVar("P", bound=_MemoryParams)

Doubles = NDArray[np.float64]


class PatchMemory(OnBackbone[P]):
    """See the module. Maps have one cell a patch, spread over the whole image whatever its aspect.

    Attributes:
        stream: Name of its random numbers.
    """

    stream: ClassVar[str]
    _before: ClassVar[Params] = {"resize": "stretch"}
    memory_depends_on: ClassVar[tuple[str, ...]] = ("max_patches", "coreset_ratio", "image_size", "tiles")

    def __init__(self, params: P, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._bank: Bank | None = None
        self._halves: Halves | None = None
        self._left_out: Doubles | None = None

    @property
    def left_out_scores(self) -> Doubles | None:
        """See `components.core.ports.LeftOut`; None where an image gave too few patches to have a highest share."""
        return self._left_out

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Remember a coreset of the patches of `samples`; see `components.core.ports.Detector`.

        At most `max_patches` are kept in memory at any time: of more, each image gives an equal share at random, and
        of more images than that evenly spaced ones are read.
        """
        if len(samples) == 0:
            raise ModelError(f"A {self.noun} cannot be fitted on no images.", hint="Add normal images.")
        rng = generator(seed, self.stream)
        views = self._views(len(samples))
        share = Share.of(len(samples), most=self._params.max_patches, views=len(views))
        shape = (self._side() ** 2, self.embed_size)
        found = sampled(
            samples, share=share, views=views, shape=shape, patches_of=self._patches, rng=rng, progress=progress
        )
        count = self._centres_of(len(found.patches))
        if np.ptp(found.patches, axis=0).max() == 0:
            raise ModelError(
                f"All {found.seen} patches of {found.read} images have the same features: there is nothing to learn.",
                hint="Check the source.",
            )
        coreset = k_centres(found.patches, count=count, rng=rng, progress=progress)
        scale = spread_scale(
            found,
            ratio=self._params.coreset_ratio,
            neighbours=self._params.neighbours,
            scaled=self._scaled,
            highest=self._highest,
            rng=generator(seed, self.stream, "spread"),
        )
        self._remember(found.patches[coreset.chosen], scale=scale)
        self._left_out = self._scores_left_out(found, coreset)
        self.facts = self._facts_of(found, coreset, samples=samples)

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)``, maps ``(N, G, G)``, G patches a side, and the scores' deviations ``(N,)``.

        A score is the mean of the highest values of its map, times the weight that a subclass may give its highest
        patch. Its deviation is over halves of the bank (see `resampled`), of these same highest patches.
        """
        self._fitted()
        images = cast(Sequence[Image], batch)
        parts = [self._scores_of(self._grids(part)) for part in in_parts(images)]
        side = self._side()
        empty = Scores(image=np.empty(0), maps=np.empty((0, side, side), np.float32), uncertainty=np.empty(0))
        return join([empty, *parts])

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` mean patch features of each image, for drift checks; needs no fit."""
        rows = [patches.mean(axis=0) for part in in_parts(batch) for patches in self._patches(part)]
        return np.stack(rows) if rows else np.empty((0, self.embed_size), np.float32)

    def _scores_of(self, grids: Sequence[Floats]) -> Scores:
        """Of images with patches ``(h, w, E)``, all looked up at once: a bank answers many at a lower price each."""
        patches = [grid.reshape(-1, grid.shape[2]) for grid in grids]
        edges = np.cumsum([len(some) for some in patches])[:-1]
        every = np.split(self._distances(np.concatenate(patches)), edges)
        tops = [self._highest(distances) for distances in every]
        weights = np.array([self._weight(some[top[-1]]) for some, top in zip(patches, tops, strict=True)])
        scores = np.array([distances[top].mean() for distances, top in zip(every, tops, strict=True)])
        spreads = self._spreads([some[top] for some, top in zip(patches, tops, strict=True)])
        maps = [
            over_square(distances.reshape(grid.shape[:2]).astype(np.float32), side=self._side())
            for distances, grid in zip(every, grids, strict=True)
        ]
        return Scores(image=weights * scores, maps=np.stack(maps), uncertainty=weights * spreads)

    @abstractmethod
    def _grids(self, images: Sequence[Image]) -> list[Floats]:
        """Of each image the features of its patches ``(h, w, E)``."""

    def _patches(self, images: Sequence[Image]) -> list[Floats]:
        """Of each image ``(h w, E)``, row by row."""
        return [grid.reshape(-1, grid.shape[2]) for grid in self._grids(images)]

    def _distances(self, patches: Floats) -> Doubles:
        """How anomalous each of the patches ``(P, E)`` is, ``(P,)``."""
        distances = self._fitted().distances(patches, neighbours=self._params.neighbours)
        return self._adjusted(patches, self._scaled(distances))

    def _adjusted(self, patches: Floats, normal: Doubles) -> Doubles:  # noqa: ARG002 - subclasses know more
        """The patches' scores, from those ``(..., P)`` that the bank of normal ones gives."""
        return normal

    def _scaled(self, distances: Doubles) -> Doubles:
        """Euclidean distances as scores."""
        return distances

    def _weight(self, patch: Floats) -> float:  # noqa: ARG002 - subclasses weigh
        """What the score is multiplied by, from its highest patch ``(E,)``."""
        return 1.0

    def _spreads(self, every: Sequence[Floats]) -> Doubles:
        """Standard deviation ``(N,)`` of the mean score of each image's `every` patches over halves of the bank."""
        assert self._halves is not None
        patches = np.concatenate(every)
        by_half = self._halves.distances(patches, neighbours=self._params.neighbours)
        scores = self._adjusted(patches, self._scaled(by_half))
        parts = np.split(scores, np.cumsum([len(some) for some in every])[:-1], axis=1)
        return self._halves.scale * np.array([part.mean(axis=1).std(ddof=1) for part in parts])

    @abstractmethod
    def _drawn_patches(self, graph: OnnxGraph, stages: Sequence[Value]) -> Value:
        """`_patches` of one image in an exported network, of the backbone's `stages`."""

    def _drawn_scores(self, graph: OnnxGraph, patches: Value, distances: Value) -> Value:  # noqa: ARG002
        """`_adjusted` of `_scaled` in an exported network."""
        return distances

    def _drawn_weight(self, graph: OnnxGraph, bank: heads.DrawnBank, patch: Value) -> Value | None:  # noqa: ARG002
        """`_weight` in an exported network, of the highest patch ``(1, E)``; None where it is always 1."""
        return None

    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        assert self._halves is not None
        bank, k, side = heads.DrawnBank(graph, self._fitted()), self._params.neighbours, self._side()
        patches = self._drawn_patches(graph, stages)
        values = self._drawn_scores(graph, patches, bank.distances(patches, neighbours=k))
        highest, places = graph.extreme(values, self._top(values.shape[0]), largest=True)
        top = graph.take(patches, places, axis=0)
        by_half = heads.by_half(graph, bank, top, halves=self._halves, neighbours=k)
        means = graph.reduced("Mean", self._drawn_scores(graph, top, by_half), axes=(1,))
        spread = graph.times(heads.deviation(graph, means), np.array(self._halves.scale, np.float32))
        found = {"score": graph.reduced("Mean", highest, axes=(0,), keep=True), SPREAD: spread}
        weight = self._drawn_weight(graph, bank, graph.take(top, np.array([0]), axis=0))
        weighted = found if weight is None else {name: graph.times(value, weight) for name, value in found.items()}
        heat = heads.repeated(graph, graph.reshape(values, stages[0].shape[2:]), side=side)
        return {**weighted, "map": graph.reshape(heat, (1, side, side))}

    def _views(self, images: int) -> Sequence[View]:
        return views_of(self._params.settled(images).augment)

    def _top(self, count: int) -> int:
        return max(1, round(self._params.top_fraction * count))

    def _highest(self, distances: Doubles) -> NDArray[np.intp]:
        """Places of the values whose mean is an image's score, rising."""
        return np.argsort(distances, kind="stable")[-self._top(len(distances)) :]

    def _remember(self, patches: Floats, *, scale: float) -> None:
        self._bank = Bank(patches)
        self._halves = Halves(self._bank, seed=len(patches), scale=scale)

    def _scores_left_out(self, found: Sampled, coreset: Coreset) -> Doubles | None:
        """None where the share of an image's patches that was drawn is too small to hold its highest ones."""
        whole, plain = len(found.patches) == found.seen, int(found.plain.sum())
        if self._weighs() or not (whole or self._params.top_fraction * plain / found.read >= 1):
            return None
        return left_out_scores(
            self._fitted(),
            found.images[coreset.chosen],
            found,
            neighbours=self._params.neighbours,
            score=lambda distances: float((scaled := self._scaled(distances))[self._highest(scaled)].mean()),
        )

    def _weighs(self) -> bool:
        """Whether `_weight` is ever other than 1."""
        return False

    def _facts_of(self, found: Sampled, coreset: Coreset, *, samples: Samples) -> dict[str, float | int | str]:
        return {
            **self._read_of(samples, read=found.read),
            "views": len(self._views(len(samples))),
            "patches_seen": found.seen,
            "patches_kept": len(found.patches),
            "sampling": "all patches" if len(found.patches) == found.seen else "as many of each image, at random",
            "centres": len(coreset.chosen),
            "covering_radius": round(coreset.radius, 6),
            "spread_scale": round(self._halves.scale, 3) if self._halves else 1.0,
            "memory_estimate_mb": round(self.memory_needed(samples) / 1e6),
        }

    def _learned_bytes(self, images: int) -> float:
        views = len(self._views(images))
        share = Share.of(images, most=self._params.max_patches, views=views)
        patches = len(share.images) * views * min(share.quota, self._side() ** 2)
        return memory_bytes(patches=patches, channels=self.embed_size, centres=self._centres_of(patches))

    def _centres_of(self, patches: int) -> int:
        return max(self._params.neighbours, round(self._params.coreset_ratio * patches))

    def _learned(self) -> Mapping[str, Floats]:
        bank, halves = self._fitted(), self._halves
        assert halves is not None
        return {"bank": bank.patches, "spread": np.array([halves.scale], np.float32)}

    def _restore(self, learned: Mapping[str, Floats]) -> bool:
        banks = {name: array for name, array in learned.items() if name != "spread"}
        scale = float(learned.get("spread", np.ones(1, np.float32))[0])  # earlier releases kept none
        if not (np.isfinite(scale) and scale >= 0) or not all(
            bank.ndim == 2 and bank.shape[1] == self.embed_size and len(bank) and np.isfinite(bank).all()
            for bank in banks.values()
        ):
            return False
        self._remember(banks["bank"], scale=scale)
        return True

    def _fitted(self) -> Bank:
        if self._bank is None:
            raise self._not_fitted()
        return self._bank
