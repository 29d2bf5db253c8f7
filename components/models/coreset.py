"""Greedy k-centre selection: few patches such that no training patch is far from one of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.ports import Progress, silent
from .nearest import Bank
from .parallel import each, processors

Floats = NDArray[np.float32]

_CELLS = 1_000_000  # of one block of products: 4 MB, what a processor's caches hold
_FEWEST, _MOST = 256, 4096  # candidates of a round
_ROOM = 8  # candidates a round for each centre that the last one gave
_SAME = 1e-6  # of the largest squared norm: squared distances below it are rounding


@dataclass(frozen=True, kw_only=True)
class Coreset:
    """What was chosen of P patches.

    Attributes:
        chosen: ``(M,)`` rising indices.
        distances: ``(P,)`` of each patch to the nearest chosen one; 0 for these.
    """

    chosen: NDArray[np.intp]
    distances: Floats

    @property
    def radius(self) -> float:
        """Covering radius: the largest of the distances."""
        return float(self.distances.max())


def greedy_coreset(
    patches: Floats, *, count: int, rng: np.random.Generator, progress: Progress = silent
) -> NDArray[np.intp]:
    """The indices of `k_centres`.

    >>> points = np.array([[0.0], [1.0], [10.0]], np.float32)
    >>> sorted(greedy_coreset(points, count=2, rng=np.random.default_rng(0)).tolist())[-1]
    2
    """
    return k_centres(patches, count=count, rng=rng, progress=progress).chosen


def k_centres(patches: Floats, *, count: int, rng: np.random.Generator, progress: Progress = silent) -> Coreset:
    """At most `count` of the patches ``(P, C)``, each the farthest from those before it; the first at random.

    At most twice the best possible covering radius (Gonzalez 1985). Distances are taken in the full space. The farthest
    patches are candidates of a round: as long as the farthest candidate is farther than every other patch was when
    the round began, it is the farthest of all, since distances only shrink; so a round chooses many centres exactly as
    one by one, and all patches are compared with them in one product. Stops early when every patch is chosen or
    equal to a chosen one.

    Raises:
        ValueError: There are no patches, or values that are not finite.
    """
    total = len(patches)
    if not total:
        raise ValueError("there are no patches to choose from")
    if count >= total:
        return Coreset(chosen=np.arange(total), distances=np.zeros(total, np.float32))
    search = _Search(patches)
    fresh = [int(rng.integers(total))]
    chosen, room = list(fresh), _FEWEST
    search.add(fresh)
    while len(chosen) < count:
        fresh = search.farthest(candidates=room, most=count - len(chosen))
        if not fresh:
            break
        search.add(fresh)
        chosen += fresh
        room = min(max(_ROOM * len(fresh), _FEWEST), _MOST)
        progress("choosing patches", len(chosen), count)
    return Coreset(chosen=np.sort(np.array(chosen, np.intp)), distances=np.sqrt(search.nearest))


def covering_radius(patches: Floats, bank: Floats) -> float:
    """Largest distance of the patches ``(P, C)`` to their nearest in `bank` ``(M, C)``, in the full space.

    >>> covering_radius(np.array([[0.0], [1.0], [10.0]], np.float32), np.array([[0.0], [8.0]], np.float32))
    2.0
    """
    return float(Bank(bank).distances(patches, neighbours=1).max())


class _Search:
    """Squared distances ``(P,)`` of patches to the nearest centre so far."""

    def __init__(self, patches: Floats) -> None:
        self._patches = patches
        # Around their mean the squares are small, so that their difference loses fewer digits.
        self._mean = patches.mean(axis=0)
        spans = np.array_split(np.arange(len(patches)), max(1, len(patches) * patches.shape[1] // _CELLS))
        self._spans = [slice(int(span[0]), int(span[-1]) + 1) for span in spans]
        parts = each(lambda span: _squares(patches[span] - self._mean), self._spans)
        self._squares = np.concatenate(parts)
        if not np.isfinite(self._squares).all():
            raise ValueError("patches have values that are not finite")
        self._same = _SAME * float(self._squares.max())
        self.nearest = np.full(len(patches), np.inf, np.float32)

    def add(self, fresh: list[int]) -> None:
        """Compare all patches with new centres, given by their indices."""
        centres = self._patches[fresh] - self._mean
        # With one column more the product adds the squares, which saves a pass over all its cells.
        doubled = np.vstack([-2 * centres.T, self._squares[fresh]])

        def compare(span: slice) -> None:
            rows = max(1, _CELLS // len(fresh))
            block = np.ones((span.stop - span.start, len(doubled)), np.float32)
            np.subtract(self._patches[span], self._mean, out=block[:, :-1])
            product = np.empty((min(rows, len(block)), len(fresh)), np.float32)
            for start in range(0, len(block), rows):
                some = block[start : start + rows]
                found = np.matmul(some, doubled, out=product[: len(some)])
                place = slice(span.start + start, span.start + start + len(some))
                closest = found.min(axis=1) + self._squares[place]
                closest[closest <= self._same] = 0
                np.minimum(self.nearest[place], closest, out=self.nearest[place])

        each(compare, self._spans)
        self.nearest[fresh] = 0

    def farthest(self, *, candidates: int, most: int) -> list[int]:
        """The next centres in greedy order, at most `most`; none when all patches are covered."""
        total = len(self.nearest)
        size = min(candidates, total - 1)
        order = np.argpartition(self.nearest, total - size - 1)
        bound, places = float(self.nearest[order[total - size - 1]]), np.sort(order[total - size :])
        points, squares = self._patches[places] - self._mean, self._squares[places]
        between = np.concatenate(each(lambda rows: rows @ points.T, np.array_split(points, processors())))
        between *= -2
        between += squares
        between += squares[:, None]
        left, found = self.nearest[places], []
        while len(found) < most:
            place = int(np.argmax(left))
            if left[place] <= bound:
                break
            found.append(int(places[place]))
            np.minimum(left, between[place], out=left)
            left[place] = 0
        return found or self._alone(places)

    def _alone(self, places: NDArray[np.intp]) -> list[int]:
        """The farthest patch where the candidates are as far as the best of the others."""
        place = int(places[np.argmax(self.nearest[places])])
        return [place] if self.nearest[place] > 0 else []


def _squares(rows: Floats) -> Floats:
    found: Floats = np.einsum("pc,pc->p", rows, rows)
    return found
