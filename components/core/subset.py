"""Part of a sample set, without copying it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .ports import Batch, Samples


class Subset:
    """The samples of `base` at `indices`, in that order; itself a `Samples`."""

    def __init__(self, base: Samples, indices: NDArray[np.intp]) -> None:
        self._base, self._indices = base, indices

    @property
    def ids(self) -> list[str]:
        """Names of the chosen samples."""
        ids = self._base.ids
        return [ids[index] for index in self._indices]

    @property
    def labels(self) -> NDArray[np.int8]:
        """Labels of the chosen samples."""
        return self._base.labels[self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def take(self, indices: Sequence[int]) -> Batch:
        """See `Samples.take`."""
        return self._base.take([int(self._indices[index]) for index in indices])


def normal_only(samples: Samples) -> Samples:
    """The samples that are not labelled anomalous."""
    chosen = np.flatnonzero(samples.labels == 0)
    return samples if len(chosen) == len(samples) else Subset(samples, chosen)


def evenly_spaced(samples: Samples, *, most: int) -> Samples:
    """`samples`, or `most` of them evenly spaced: more would take longer, or not fit into memory."""
    if len(samples) <= most:
        return samples
    return Subset(samples, np.linspace(0, len(samples) - 1, most).astype(np.intp))
