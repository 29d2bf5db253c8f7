"""Greedy k-centre selection: few patches such that no training patch is far from one of them."""

import numpy as np
from numpy.typing import NDArray

from ..core.ports import Progress, silent

_PROJECTED = 64
_REPORT_EVERY = 200

Floats = NDArray[np.float32]


def greedy_coreset(
    patches: Floats, *, count: int, rng: np.random.Generator, progress: Progress = silent
) -> NDArray[np.intp]:
    """Indices of at most `count` of the patches ``(P, C)``, each the farthest from those before it.

    At most twice the best possible radius (Gonzalez 1985). Distances are taken after a random projection to 64
    dimensions, which keeps them within a small factor (Johnson & Lindenstrauss 1984; Roth et al. 2022, section 3.2).
    Stops early when every patch is chosen or equal to a chosen one.

    >>> points = np.array([[0.0], [1.0], [10.0]], np.float32)
    >>> sorted(greedy_coreset(points, count=2, rng=np.random.default_rng(0)).tolist())[-1]
    2
    """
    points = _project(patches - patches.mean(axis=0), rng)
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
    return np.sort(np.array(chosen))


def _project(points: Floats, rng: np.random.Generator) -> Floats:
    if points.shape[1] <= _PROJECTED:
        return points
    matrix = rng.standard_normal((points.shape[1], _PROJECTED)) / np.sqrt(_PROJECTED)
    projected: Floats = points @ matrix.astype(np.float32)
    return projected
