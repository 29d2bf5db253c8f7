"""How well anomaly maps find the marked regions: pixel AUROC and AUPRO, each with a bootstrap interval over images.

Maps and masks are given image by image, so their sizes may differ. Everything is counted at no more than 2,048
levels: all distinct values where there are fewer, else quantiles that are denser among the normal pixels' highest
values, where AUPRO looks. The images' counts add up, which makes a bootstrap over images a matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..core import contracts
from .bootstrap import percentiles, stratified

LIMIT = 0.3
"""Largest false-positive rate that AUPRO integrates to (Bergmann et al. 2021, section 5.1.2)."""

_LEVELS = 2048
_SAMPLED = 200_000  # pixels that the levels are drawn from, per class

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Per image n and level l, thresholds falling: pixels and region shares at or above the level.

    `normal`, `anomalous` ``(N, L)``: pixels; `overlap` ``(N, L)``: sum of found shares over the image's regions;
    `sizes` ``(N, 3)``: normal pixels, anomalous pixels, regions.
    """

    normal: Floats
    anomalous: Floats
    overlap: Floats
    sizes: Floats


def pixel_auroc(maps: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> float:
    """AUROC over all pixels of N maps; masks of the same sizes are non-zero where anomalous. NaN with one class only.

    >>> pixel_auroc([[[0.1, 0.9]]], [[[0, 1]]])
    1.0
    """
    return float(_pixel_auroc(_count(maps, masks), np.ones((1, len(maps))))[0])


def aupro(maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], *, limit: float = LIMIT) -> float:
    """Area under the per-region-overlap curve up to the false-positive rate `limit`, divided by it; NaN with one class.

    A region is an 8-connected component of a mask; overlap is the share of its pixels that are found, averaged over
    all regions of all images; false positives are counted over all normal pixels of all images, normal images
    included (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, section 5.1.2).

    >>> aupro([[[0.1, 0.2, 0.9]]], [[[0, 0, 1]]])
    1.0
    """
    return float(_aupro(_count(maps, masks), np.ones((1, len(maps))), limit=limit)[0])


def localisation(
    maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], *, seed: int, resamples: int = 500, limit: float = LIMIT
) -> dict[str, contracts.Metric]:
    """`pixel_auroc` and `aupro` by name, with 95 % intervals from resampling images (with and without regions apart)."""
    counts = _count(maps, masks)
    marked = counts.sizes[:, 1] > 0
    weights = np.ones((resamples + 1, len(maps)))
    for row, index in enumerate(stratified(marked, seed=seed, resamples=resamples), start=1):
        weights[row] = np.bincount(index, minlength=len(maps))
    drawn = {"pixel_auroc": _pixel_auroc(counts, weights), "aupro": _aupro(counts, weights, limit=limit)}
    return {name: _metric(values, n=len(maps)) for name, values in drawn.items()}


def _metric(values: Floats, *, n: int) -> contracts.Metric:
    if not np.isfinite(values[0]):
        return contracts.Metric(value=None, n=n, note="needs both normal and anomalous pixels")
    low, high = percentiles(values[1:])
    return contracts.Metric(value=float(values[0]), low=low, high=high, n=n)


def _count(maps: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> _Counts:
    values = [np.asarray(one, dtype=np.float32) for one in maps]
    marks = [np.asarray(one) != 0 for one in masks]
    if not values or [one.shape for one in values] != [one.shape for one in marks]:
        raise ValueError(
            f"{len(values)} maps and {len(marks)} masks must be at least one, and of equal shapes in pairs"
        )
    if not all(np.isfinite(one).all() for one in values):
        raise ValueError("a map holds values that are not finite")
    levels = _levels(values, marks)
    normal = np.stack([_reached(value[~mark], levels) for value, mark in zip(values, marks, strict=True)])
    anomalous = np.stack([_reached(value[mark], levels) for value, mark in zip(values, marks, strict=True)])
    regions = [_regions(value, mark, levels) for value, mark in zip(values, marks, strict=True)]
    sizes = np.array([[(~mark).sum(), mark.sum(), count] for mark, (_, count) in zip(marks, regions, strict=True)])
    overlap = np.stack([shares for shares, _ in regions])
    return _Counts(normal=normal, anomalous=anomalous, overlap=overlap, sizes=sizes.astype(np.float64))


def _levels(values: list[NDArray[np.float32]], marks: list[NDArray[np.bool_]]) -> NDArray[np.float32]:
    """Rising thresholds, at most `_LEVELS`."""
    kinds = [_thinned(values, marks), _thinned(values, [~mark for mark in marks])]
    distinct = np.unique(np.concatenate(kinds))
    if len(distinct) <= _LEVELS and sum(map(np.size, values)) <= _SAMPLED:
        return distinct
    # Square root spacing puts half of the levels above the upper quarter, where false-positive rates are small.
    shares = 1 - np.linspace(1, 0, _LEVELS // 2) ** 2
    found = [np.quantile(kind, shares, method="lower") for kind in kinds if len(kind)]
    return np.unique(np.concatenate(found)).astype(np.float32)


def _thinned(values: list[NDArray[np.float32]], marks: list[NDArray[np.bool_]]) -> NDArray[np.float32]:
    step = max(1, -(-sum(int(mark.sum()) for mark in marks) // _SAMPLED))
    return np.concatenate([value[mark][::step] for value, mark in zip(values, marks, strict=True)])


def _reached(values: NDArray[np.float32], levels: NDArray[np.float32]) -> Floats:
    """``(L,)``: how many `values` are at or above each level, the highest level first."""
    place = np.searchsorted(levels, values, side="right")  # levels at or below the value
    histogram = np.bincount(place, minlength=len(levels) + 1)[1:]
    return np.cumsum(histogram[::-1]).astype(np.float64)


def _regions(value: NDArray[np.float32], mark: NDArray[np.bool_], levels: NDArray[np.float32]) -> tuple[Floats, int]:
    labelled, count = ndimage.label(mark, structure=np.ones((3, 3)))
    shares = np.zeros(len(levels))
    for number, place in enumerate(ndimage.find_objects(labelled), start=1):
        inside = value[place][labelled[place] == number]
        shares += _reached(inside, levels) / len(inside)
    return shares, int(count)


def _pixel_auroc(counts: _Counts, weights: Floats) -> Floats:
    """``(R,)`` for R weightings ``(R, N)`` of the images; trapezes count ties one half."""
    with np.errstate(invalid="ignore", divide="ignore"):
        false = _curve(weights @ counts.normal, weights @ counts.sizes[:, 0])
        true = _curve(weights @ counts.anomalous, weights @ counts.sizes[:, 1])
    return np.asarray(np.sum(np.diff(false) * (true[:, 1:] + true[:, :-1]) / 2, axis=1))


def _aupro(counts: _Counts, weights: Floats, *, limit: float) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        false = _curve(weights @ counts.normal, weights @ counts.sizes[:, 0])
        overlap = _curve(weights @ counts.overlap, weights @ counts.sizes[:, 2])
    return np.array([_area(x, y, limit=limit) for x, y in zip(false, overlap, strict=True)])


def _curve(reached: Floats, whole: Floats) -> Floats:
    """Rates ``(R, L + 2)`` from no pixel to all; pixels below the lowest level join at the end."""
    rates = reached / whole[:, None]
    return np.hstack([np.zeros((len(rates), 1)) * whole[:, None], rates, whole[:, None] / whole[:, None]])


def _area(x: Floats, y: Floats, *, limit: float) -> float:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    inside = x <= limit
    ends = np.append(x[inside], limit), np.append(y[inside], np.interp(limit, x, y))
    return float(np.trapezoid(ends[1], ends[0]) / limit)
