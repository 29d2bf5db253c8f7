"""Pixel figures of the test images that have a mask, and of the normal ones, which need none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import resize

from components.core.contracts import Metric
from components.metrics.pixels import PixelCounts, pixel_intervals

LONGEST = 256
"""Longest side, in pixels, at which maps and masks are compared: a map has far fewer cells than that."""


def pixel_metrics(
    maps: NDArray[np.float32],
    masks: Sequence[NDArray[np.bool_] | None],
    labels: NDArray[np.int8],
    *,
    seed: int,
    groups: NDArray[np.str_] | None = None,
) -> dict[str, Metric]:
    """`pixel_auroc` and `aupro`; defective images without a mask are left out.

    Args:
        maps: ``(N, h, w)`` score maps, each spread over its whole image.
        masks: N ground truths ``(H, W)`` at image size, or None.
        labels: ``(N,)``, 1 anomalous.
        seed: Of the bootstrap.
        groups: N names of what belongs together; None: each counts.
    """
    sizes: list[tuple[int, int]] = []
    known: list[NDArray[np.bool_] | None] = []
    for mask in masks:  # once: each is read when it is asked for, and none but its small copy is kept
        known.append(None if mask is None else _shrunk(mask, _small(*mask.shape)))
        if mask is not None and mask.any():
            sizes.append(mask.shape)
    if not sizes:
        missing = Metric(value=None, note="no test image has a mask")
        return {"pixel_auroc": missing, "aupro": missing}
    # Normal images have no mask of their own: they count with the usual size.
    usual = _small(*(int(side) for side in np.median(np.array(sizes), axis=0)))
    heats: list[NDArray[np.float32]] = []
    truths: list[NDArray[np.bool_]] = []
    kept = [place for place, truth in enumerate(known) if truth is not None or labels[place] != 1]
    for place in kept:
        heat, truth = maps[place], known[place]
        truths.append(np.zeros(usual, bool) if truth is None else truth)
        heats.append(resize(heat, truths[-1].shape, order=1).astype(np.float32))
    own = None if groups is None else groups[kept]
    return pixel_intervals(PixelCounts.of(heats, truths), seed=seed, groups=own)


def _small(height: int, width: int) -> tuple[int, int]:
    """Height and width at which an image of these sides is compared."""
    scale = min(1.0, LONGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _shrunk(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """`mask` at that shape: cells of which half is marked, and all that a region touches which has none such.

    A hairline is thinner than half a cell of a large image; without it a defect would count as a normal place.
    """
    found: NDArray[np.bool_] = resize(mask.astype(float), shape, order=1) > 0.5
    regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
    rows, columns = np.nonzero(mask)
    own = regions[rows, columns]
    cells = rows * shape[0] // mask.shape[0], columns * shape[1] // mask.shape[1]
    kept = np.zeros(count + 1, bool)
    kept[own[found[cells]]] = True
    lost = ~kept[own]
    found[cells[0][lost], cells[1][lost]] = True
    return found
