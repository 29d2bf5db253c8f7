"""Memories of normal patches: how one is sampled, thinned and compared with, whatever the features are.

After PatchCore (Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", CVPR): an image's patches are
compared with a coreset of those of normal images, and the mean of its most anomalous ones is its score.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import Scores
from ..core.errors import ModelError
from ..core.ports import Batch, Image, Progress, Samples, batches, silent
from ..core.seeds import generator
from ..core.subset import Subset
from .backbones import Backbone
from .coreset import k_centres
from .inference import Floats
from .nearest import Bank
from .on_backbone import IMAGES_AT_ONCE, BackboneParams, OnBackbone, in_parts


class _MemoryParams(BackboneParams, Protocol):
    @property
    def coreset_ratio(self) -> float: ...

    @property
    def neighbours(self) -> int: ...

    @property
    def top_fraction(self) -> float: ...

    @property
    def max_patches(self) -> int: ...


P = TypeVar("P", bound=_MemoryParams)


class PatchMemory(OnBackbone[P]):
    """See the module. Maps have one cell a patch, spread over the whole image whatever its aspect.

    Attributes:
        stream: Name of its random numbers.
    """

    stream: ClassVar[str]

    def __init__(self, params: P, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._bank: Bank | None = None

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Remember a coreset of the patches of `samples`; see `components.core.ports.Detector`.

        At most `max_patches` are kept in memory at any time: of more, each image gives an equal share at random, and
        of more images than that evenly spaced ones are read.
        """
        if len(samples) == 0:
            raise ModelError(f"A {self.noun} cannot be fitted on no images.", hint="Add normal images.")
        rng = generator(seed, self.stream)
        patches = self._sampled(samples, rng=rng, progress=progress)
        count = max(self._params.neighbours, round(self._params.coreset_ratio * len(patches)))
        self._bank = Bank(patches[k_centres(patches, count=count, rng=rng, progress=progress).chosen])

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)`` and maps ``(N, G, G)``, G patches a side: the mean of the highest values of its map."""
        self._fitted()
        side = self._side()
        images = cast(Sequence[Image], batch)
        scores, maps = np.empty(len(images)), np.empty((len(images), side, side), np.float32)
        # Patches of several images are looked up at once: a bank answers many at a lower price each.
        every = (one for part in in_parts(images) for one in self._by_image(self._patches(part)))
        for place, distances in enumerate(every):
            scores[place] = np.sort(distances)[-self._top(len(distances)) :].mean()
            maps[place] = distances.reshape(side, side)
        return Scores(image=scores, maps=maps)

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` mean patch features of each image, for drift checks; needs no fit."""
        rows = [patches.mean(axis=0) for part in in_parts(batch) for patches in self._patches(part)]
        return np.stack(rows) if rows else np.empty((0, self.embed_size), np.float32)

    @abstractmethod
    def _patches(self, images: Sequence[Image]) -> list[Floats]:
        """Of each image ``(G G, E)``, row by row."""

    def _by_image(self, every: Sequence[Floats]) -> NDArray[np.float64]:
        """``(N, P)`` distances of N images' patches ``(P, E)``."""
        return self._distances(np.concatenate(every)).reshape(len(every), -1)

    def _distances(self, patches: Floats) -> NDArray[np.float64]:
        """How anomalous each of the patches ``(P, E)`` is, ``(P,)``."""
        return self._fitted().distances(patches, neighbours=self._params.neighbours)

    def _turns(self) -> int:
        """How often each training image is read, turned by a right angle each time."""
        return 1

    def _top(self, count: int) -> int:
        return max(1, round(self._params.top_fraction * count))

    def _sampled(self, samples: Samples, *, rng: np.random.Generator, progress: Progress) -> Floats:
        turns, most = self._turns(), self._params.max_patches
        chosen = np.linspace(0, len(samples) - 1, min(len(samples), most // turns)).astype(np.intp)
        quota = max(1, most // (turns * len(chosen)))
        kept, flat = [], True
        for batch in batches(Subset(samples, chosen), size=IMAGES_AT_ONCE):
            images = cast(Sequence[Image], batch)
            flat = flat and all(int(np.ptp(image, axis=(0, 1)).max()) == 0 for image in images)
            for turn in range(turns):
                every = self._patches([np.rot90(image, turn) for image in images])
                kept += [p[rng.permutation(len(p))[:quota]] if len(p) > quota else p for p in every]
            progress("reading patches", len(kept) // turns, len(chosen))
        if flat:
            raise ModelError(
                f"All {len(chosen)} images are of one flat colour each: there is nothing to learn.",
                hint="Check the camera or the source.",
            )
        return np.concatenate(kept)

    def _learned(self) -> Mapping[str, Floats]:
        return {"bank": self._fitted().patches}

    def _restore(self, learned: Mapping[str, Floats]) -> bool:
        normal = learned["bank"]
        if not all(
            bank.ndim == 2 and bank.shape[1] == self.embed_size and len(bank) and np.isfinite(bank).all()
            for bank in learned.values()
        ):
            return False
        self._bank = Bank(normal)
        return True

    def _fitted(self) -> Bank:
        if self._bank is None:
            raise self._not_fitted()
        return self._bank
