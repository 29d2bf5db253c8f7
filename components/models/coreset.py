"""Greedy k-centre selection: few patches such that no training patch is far from one of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.ports import Progress, silent
from .nearest import Bank

_PROJECTED = 64
_REPORT_EVERY = 200

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Coreset:
    """What was chosen of P patches.

    Attributes:
        chosen: ``(M,)`` rising indices.
        distances: ``(P,)`` of each patch to the nearest chosen one, in the full space; 0 for these.
    """

    chosen: NDArray[np.intp]
    distances: Floats

    @property
    def radius(self) -> float:
        """Covering radius: the largest of the distances."""
        return float(self.distances.max())


def k_centres(patches: Floats, *, count: int, rng: np.random.Generator, progress: Progress = silent) -> Coreset:
    """At most `count` of the patches ``(P, C)``, each the farthest from those before it; the first at random.

    At most twice the best possible radius (Gonzalez 1985). Distances are taken after a random projection to 64
    dimensions, which keeps them within a small factor (Johnson & Lindenstrauss 1984; Roth et al. 2022, section 3.2).
    Stops early when every patch is chosen or equal to a chosen one.

    >>> points = np.array([[0.0], [1.0], [10.0]], np.float32)
    >>> found = k_centres(points, count=2, rng=np.random.default_rng(0))
    >>> int(found.chosen[-1]), found.distances[2]
    (2, np.float32(0.0))

    Raises:
        ValueError: There are no patches, or values that are not finite.
    """
    if not len(patches) or not np.isfinite(patches).all():
        raise ValueError(f"patches {patches.shape} to choose from must be some, and finite")
    chosen = np.sort(_greedy(_project(patches - patches.mean(axis=0), rng), count, rng, progress))
    distances = Bank(patches[chosen]).distances(patches, neighbours=1).astype(np.float32)
    return Coreset(chosen=chosen, distances=distances)


def _greedy(points: Floats, count: int, rng: np.random.Generator, progress: Progress) -> NDArray[np.intp]:
    squares = np.einsum("pc,pc->p", points, points)
    nearest = np.full(len(points), np.inf, np.float32)
    chosen = [int(rng.integers(len(points)))]
    for number in range(1, min(count, len(points))):
        centre = points[chosen[-1]]
        distance = points @ (-2 * centre)
        distance += squares
        distance += squares[chosen[-1]]
        np.minimum(nearest, distance, out=nearest)
        nearest[chosen[-1]] = 0
        farthest = int(np.argmax(nearest))
        if nearest[farthest] <= 0:
            break
        chosen.append(farthest)
        if number % _REPORT_EVERY == 0:
            progress("choosing patches", number, count)
    return np.array(chosen, np.intp)


def _project(points: Floats, rng: np.random.Generator) -> Floats:
    if points.shape[1] <= _PROJECTED:
        return points
    matrix = rng.standard_normal((points.shape[1], _PROJECTED)) / np.sqrt(_PROJECTED)
    projected: Floats = points @ matrix.astype(np.float32)
    return projected
