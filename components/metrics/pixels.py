"""Pixel AUROC and AUPRO from histograms of each image, so that a bootstrap over images costs a matrix product."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..core.contracts import Metric
from .bootstrap import between, holding, resamples
from .ranking import Counts, auroc

BINS = 1000
FPR_LIMIT = 0.3
"""Upper limit of the false-positive rate up to which AUPRO integrates (Bergmann et al. 2021, section 6.2)."""
_EDGE_SAMPLES = 500_000

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelCounts:
    """Histograms over B score bins, the highest first, one row an image.

    Attributes:
        pos, neg: ``(N, B)`` anomalous and normal pixels.
        overlap: ``(N, B)`` sum over the image's anomalous regions of the share of each region in the bin.
        regions: ``(N,)`` connected anomalous regions.
    """

    pos: Counts
    neg: Counts
    overlap: Counts
    regions: NDArray[np.float64]

    @classmethod
    def of(cls, maps: Sequence[NDArray[np.float32]], masks: Sequence[Mask]) -> "PixelCounts":
        """Counts of N score maps ``(H, W)`` and masks of the same shape; sizes may differ between images."""
        edges = _edges(maps)
        rows = [_count(heat, mask, edges) for heat, mask in zip(maps, masks, strict=True)]
        pos, neg, overlap, regions = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
        return cls(pos=pos, neg=neg, overlap=overlap, regions=regions)

    def pixel_auroc(self, weights: Counts) -> NDArray[np.float64]:
        """``(R,)`` AUROC over the pixels of images drawn ``(R, N)`` times."""
        return auroc(weights @ self.pos, weights @ self.neg, np.empty(0))

    def aupro(self, weights: Counts) -> NDArray[np.float64]:
        """``(R,)`` area under the per-region overlap up to `FPR_LIMIT`, as a share of the largest possible."""
        overlap = np.cumsum(weights @ self.overlap, axis=1) / (weights @ self.regions)[:, None]
        normal = weights @ self.neg
        rate = np.cumsum(normal, axis=1) / normal.sum(axis=1, keepdims=True)
        return np.array([_area(x, y) for x, y in zip(rate, overlap, strict=True)])


def pixel_intervals(counts: PixelCounts, *, seed: int, groups: NDArray[np.str_] | None = None) -> dict[str, Metric]:
    """`pixel_auroc` and `aupro` with their bootstrap intervals over images, defective ones apart.

    Images of one of the `groups` ``(N,)`` are drawn together, and few groups with a defect make the intervals wider:
    see `components.metrics.bootstrap`.
    """
    n = len(counts.regions)
    defective = (counts.regions > 0).astype(np.int8)
    if not defective.any() or not counts.neg.any():
        what = "a normal pixel" if defective.any() else "a mask"
        missing = Metric(value=None, n=n, note=f"no test image has {what}")
        return {"pixel_auroc": missing, "aupro": missing}
    weights = np.concatenate(list(resamples(defective, groups, seed=seed)))
    weights = weights[weights @ counts.neg.sum(axis=1) > 0]  # masks that cover their whole image may be all of one
    fewest, _ = holding(defective, groups)
    found = {}
    for name, measure in (("pixel_auroc", counts.pixel_auroc), ("aupro", counts.aupro)):
        value = float(measure(np.ones((1, n)))[0])
        found[name] = between(value, measure(weights), n=n, fewest=fewest)
    return found


def _edges(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """``(BINS - 1,)`` ascending edges: the upper half at the highest thousandths, where thresholds lie."""
    step = max(1, sum(heat.size for heat in maps) // _EDGE_SAMPLES)
    # Each map is begun at another pixel: a step of as many as a row has would see one column of all.
    pixels = np.concatenate([heat.ravel()[number % step :: step] for number, heat in enumerate(maps)])
    shares = np.concatenate([np.linspace(0, 0.99, BINS // 2), np.linspace(0.99, 1, BINS // 2)[1:]])
    edges: NDArray[np.float32] = np.quantile(pixels, shares).astype(np.float32)
    return edges


def _count(heat: NDArray[np.float32], mask: Mask, edges: NDArray[np.float32]) -> tuple[Counts, Counts, Counts, int]:
    bins = len(edges) - np.searchsorted(edges, heat, side="right")  # 0 is the highest
    size = len(edges) + 1
    pos = np.bincount(bins[mask], minlength=size).astype(np.float64)
    neg = np.bincount(bins[~mask], minlength=size).astype(np.float64)
    labelled, regions = ndimage.label(mask, structure=np.ones((3, 3)))
    overlap = np.zeros(size)
    for region in range(1, regions + 1):
        inside = bins[labelled == region]
        overlap += np.bincount(inside, minlength=size) / len(inside)
    return pos, neg, overlap, regions


def _area(rate: NDArray[np.float64], overlap: NDArray[np.float64]) -> float:
    rate, overlap = np.r_[0.0, rate], np.r_[0.0, overlap]
    inside = rate <= FPR_LIMIT
    x, y = np.r_[rate[inside], FPR_LIMIT], np.r_[overlap[inside], np.interp(FPR_LIMIT, rate, overlap)]
    return float(np.trapezoid(y, x) / FPR_LIMIT)
