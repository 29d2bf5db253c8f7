"""Nearest neighbours by a product in bf16, where the processor has matrix tiles for it (AMX), exactly.

The product gives a lower bound of each squared distance, errors of bf16 included. What a bound does not rule out is
measured in float32. Tiles multiply several times as fast as vector units do, and few patches are left to be measured.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .closest import smallest
from .parallel import one_thread

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_ROUNDED = 2.0**-6 * 1.03
"""Of |q| |c|. Both factors of a product are off by 2^-8 at most, so twice the dot product is by 2 (2^-7 + 2^-16); the
rest is for this term itself being rounded."""

_SUMMED = 1e-5  # of (|q| + |c|)^2: more than float32 rounds off the sum of a product
_TILE = 32  # columns that tiles take at once
_CELLS = 2_500_000  # of one block of bounds: 5 MB
_PAIRS = 20_000  # measured at once
_MOST = 64  # pairs a neighbour from which a product in float32 is cheaper


@lru_cache(maxsize=1)
def has_tiles() -> bool:
    """Whether this processor multiplies bf16 in tiles."""
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and " amx_bf16 " in flags.read_text(encoding="utf-8", errors="replace")


class Screen:
    """Points ``(M, C)`` that queries are compared with.

    Args:
        doubled: -2 times the points, which are around their mean.
        squares: ``(M,)`` their squared norms.
    """

    def __init__(self, doubled: Floats, squares: Floats) -> None:
        self._doubled, self._squares = doubled, squares
        norms = np.sqrt(squares)
        self._largest = float(norms.max())
        ones = np.ones((len(squares), 3), np.float32)
        self._columns = _padded([doubled, ones, _parts(squares), -np.float32(_ROUNDED) * norms[:, None]]).T.contiguous()

    def nearest(self, queries: Floats, k: int) -> tuple[Places, Floats]:
        """Indices ``(Q, k)`` of the k nearest points to the queries ``(Q, C)``, rising, and squared distances."""
        import torch

        size = min(len(queries), max(1, _CELLS // len(self._squares)))
        with one_thread():
            memory = torch.empty((size, len(self._squares)), dtype=torch.bfloat16)
            blocks = [queries[start : start + size] for start in range(0, len(queries), size)]
            found = [self._of_block(block, k, memory[: len(block)]) for block in blocks]
        return np.concatenate([places for places, _ in found]), np.concatenate([squared for _, squared in found])

    def _of_block(self, queries: Floats, k: int, memory: "torch.Tensor") -> tuple[Places, Floats]:
        squares: Floats = np.einsum("qc,qc->q", queries, queries)
        norms = np.sqrt(squares)
        bounds = self._bounds(queries, squares, norms, memory)
        rows = np.arange(len(queries))
        first = smallest(bounds, k)
        measured = self._measured(queries, np.repeat(rows, k), first.ravel()).reshape(-1, k)
        limit = measured.max(axis=1) + np.float32(_SUMMED) * (norms + np.float32(self._largest)) ** 2
        left = bounds <= _above(limit * np.float32(1 + 2.0**-7))[:, None]
        left[rows[:, None], first] = True
        row, place = np.divmod(np.flatnonzero(left), len(self._squares))
        if len(row) > _MOST * k * len(queries):
            place = smallest(queries @ self._doubled.T + self._squares, k).ravel()
            row = np.repeat(rows, k)
        squared = self._measured(queries, row, place)
        order = np.lexsort((squared, row))
        chosen = order[np.searchsorted(row, rows)[:, None] + np.arange(k)]
        return place[chosen], squared[chosen]

    def _bounds(self, queries: Floats, squares: Floats, norms: Floats, memory: "torch.Tensor") -> NDArray[np.int16]:
        """Bits ``(Q, M)`` of bf16 lower bounds; as integers they rise with them, and negative ones stay negative."""
        import torch

        ones = np.ones((len(queries), 3), np.float32)
        torch.mm(_padded([queries, _parts(squares), ones, norms[:, None]]), self._columns, out=memory)
        found: NDArray[np.int16] = memory.view(torch.int16).numpy()
        return found

    def _measured(self, queries: Floats, row: Places, place: Places) -> Floats:
        """Squared distances of the queries `row` to the points `place`."""
        found = np.empty(len(row), np.float32)
        for start in range(0, len(row), _PAIRS):
            some = slice(start, start + _PAIRS)
            apart = self._doubled[place[some]]
            apart *= np.float32(0.5)
            apart += queries[row[some]]
            np.einsum("pc,pc->p", apart, apart, out=found[some])
        return found


def _padded(columns: list[Any]) -> "torch.Tensor":
    """Columns side by side in bf16, zeros up to whole tiles."""
    import torch

    width = sum(part.shape[1] for part in columns)
    whole = np.zeros((len(columns[0]), -(-width // _TILE) * _TILE), np.float32)
    np.concatenate(columns, axis=1, out=whole[:, :width])
    return torch.from_numpy(whole).bfloat16()


def _parts(values: Floats) -> Floats:
    """``(N, 3)`` values of bf16 whose sum is each of the ``(N,)`` values, to float32's precision."""
    found = np.empty((len(values), 3), np.float32)
    left = values.copy()
    for part in range(3):
        # A float32 without its lower 16 bits is one of bf16.
        found[:, part] = (left.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        left -= found[:, part]
    return found


def _above(values: Floats) -> NDArray[np.int16]:
    """Bits of the bf16 next above each of the values, which are not negative."""
    upper: NDArray[np.uint32] = np.minimum((values.view(np.uint32) >> 16) + 1, 0x7F80)
    return upper.astype(np.int16)
