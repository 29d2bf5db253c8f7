"""Greedy k-centre selection: few patches such that no training patch is far from one of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.ports import Progress, silent
from .cells import Cells
from .parallel import each

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_ROWS = 16_384  # patches compared at once; bounds memory
_FEWEST, _MOST = 256, 4096  # candidates of a round
_ROOM = 8  # candidates a round for each centre that the last one gave
_SAME = 1e-6  # of the largest squared norm: squared distances below it are rounding


@dataclass(frozen=True, kw_only=True)
class Coreset:
    """What was chosen of P patches.

    Attributes:
        chosen: ``(M,)`` rising indices.
        distances: ``(P,)`` of each patch to the nearest chosen one, in the full space; 0 for these.
    """

    chosen: Places
    distances: Floats

    @property
    def radius(self) -> float:
        """Covering radius: the largest of the distances."""
        return float(self.distances.max())


def k_centres(patches: Floats, *, count: int, rng: np.random.Generator, progress: Progress = silent) -> Coreset:
    """At most `count` of the patches ``(P, C)``, each the farthest from those before it; the first at random.

    At most twice the best possible covering radius (Gonzalez 1985). This is the exact greedy order in the full space,
    not in a random projection, because two things make it cheap. The farthest patches are candidates of a round: as
    long as the farthest candidate is farther than every other patch was when the round began, it is the farthest of
    all, since distances only shrink; so a round chooses many centres, the same as one by one, and all patches are
    compared with them at once. And a round's centres are cut into cells, so that a patch is compared only with those
    that the triangle inequality lets be nearer than what it has (as Elkan 2003 does for k-means).

    All patches are chosen if `count` allows; else it stops early when every patch is equal to a chosen one.

    >>> points = np.array([[0.0], [1.0], [10.0]], np.float32)
    >>> found = k_centres(points, count=2, rng=np.random.default_rng(0))
    >>> int(found.chosen[-1]), found.distances[2]
    (2, np.float32(0.0))

    Raises:
        ValueError: There are no patches, values that are not finite, or `count` is not positive.
    """
    total = len(patches)
    if not total or count < 1:
        raise ValueError(f"{count} of {total} patches cannot be chosen")
    search = _Search(patches)
    if count >= total:
        return Coreset(chosen=np.arange(total), distances=np.zeros(total, np.float32))
    fresh = np.array([rng.integers(total)], np.intp)
    chosen, room = [fresh], _FEWEST
    search.add(fresh)
    while (number := sum(map(len, chosen))) < count:
        fresh = search.farthest(candidates=room, most=count - number)
        if not len(fresh):
            break
        search.add(fresh)
        chosen.append(fresh)
        room = min(max(_ROOM * len(fresh), _FEWEST), _MOST)
        progress("choosing patches", number + len(fresh), count)
    progress("choosing patches", count, count)
    return Coreset(chosen=np.sort(np.concatenate(chosen)), distances=search.distances())


class _Search:
    """Which centre is the nearest of each patch so far."""

    def __init__(self, patches: Floats) -> None:
        self._patches = patches
        # Around their mean the squares are small, so that their difference loses fewer digits.
        with np.errstate(invalid="ignore"):
            self._mean = patches.mean(axis=0)
        self._spans = [slice(start, start + _ROWS) for start in range(0, len(patches), _ROWS)]
        if not np.isfinite(self._mean).all():
            raise ValueError("patches have values that are not finite")
        self._same = _SAME * max(each(self._largest, self._spans))
        self._squared = np.full(len(patches), np.inf, np.float32)
        self._owner = np.zeros(len(patches), np.intp)

    def add(self, fresh: Places) -> None:
        """Compare all patches with new centres, given by their indices."""
        cells = Cells(self._patches[fresh] - self._mean)

        def compare(span: slice) -> None:
            rows, places, squared = cells.nearer(self._patches[span] - self._mean, self._squared[span])
            squared[squared <= self._same] = 0
            self._squared[span][rows], self._owner[span][rows] = squared, fresh[places]

        each(compare, self._spans)
        self._squared[fresh], self._owner[fresh] = 0, fresh

    def farthest(self, *, candidates: int, most: int) -> Places:
        """The next centres in greedy order, at most `most`; none when all patches are covered."""
        size = min(candidates, len(self._squared) - 1)
        order = np.argpartition(self._squared, -size - 1)
        bound, places = float(self._squared[order[-size - 1]]), np.sort(order[-size:])
        between = self._between(places)
        left = self._squared[places]
        found: list[int] = []
        while len(found) < most:
            place = int(np.argmax(left))
            if left[place] <= bound:
                break
            found.append(int(places[place]))
            np.minimum(left, between[place], out=left)
            left[place] = 0
        if not found:  # the candidates are as far as the best of the others
            place = int(np.argmax(self._squared))
            found = [place] if self._squared[place] > 0 else []
        return np.array(found, np.intp)

    def distances(self) -> Floats:
        """``(P,)`` of the patches to their nearest centres, by the difference, without the product's cancellation."""

        def measured(span: slice) -> Floats:
            found: Floats = np.linalg.norm(self._patches[span] - self._patches[self._owner[span]], axis=1)
            return found

        return np.concatenate(each(measured, self._spans))

    def _between(self, places: Places) -> Floats:
        """Squared distances ``(K, K)`` of K patches."""
        points = self._patches[places] - self._mean
        squares, doubled = np.einsum("kc,kc->k", points, points), -2 * points.T
        found = np.empty((len(points), len(points)), np.float32)

        def fill(part: slice) -> None:
            np.matmul(points[part], doubled, out=found[part])
            found[part] += squares
            found[part] += squares[part, None]

        each(fill, [slice(start, start + _FEWEST) for start in range(0, len(points), _FEWEST)])
        return found

    def _largest(self, span: slice) -> float:
        centred = self._patches[span] - self._mean
        return float(np.einsum("pc,pc->p", centred, centred).max())
