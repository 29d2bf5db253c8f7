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
) -> dict[str, Metric]:
    """`pixel_auroc` and `aupro`; defective images without a mask are left out.

    Args:
        maps: ``(N, h, w)`` score maps, each spread over its whole image.
        masks: N ground truths ``(H, W)`` at image size, or None.
        labels: ``(N,)``, 1 anomalous.
        seed: Of the bootstrap.
    """
    usual = _median_size(masks)
    if usual is None:
        missing = Metric(value=None, note="no test image has a mask")
        return {"pixel_auroc": missing, "aupro": missing}
    heats: list[NDArray[np.float32]] = []
    truths: list[NDArray[np.bool_]] = []
    for heat, mask, label in zip(maps, masks, labels, strict=True):
        if mask is None and label == 1:
            continue
        height, width = usual if mask is None else mask.shape
        scale = min(1.0, LONGEST / max(height, width))
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
        heats.append(resize(heat, shape, order=1).astype(np.float32))
        truths.append(np.zeros(shape, bool) if mask is None else _shrunk(mask, shape))
    return pixel_intervals(PixelCounts.of(heats, truths), seed=seed)


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


def _median_size(masks: Sequence[NDArray[np.bool_] | None]) -> tuple[int, int] | None:
    """Size that normal images count with, which have no mask of their own; None where no image has one."""
    sizes = [mask.shape for mask in masks if mask is not None and mask.any()]
    if not sizes:
        return None
    height, width = np.median(np.array(sizes), axis=0)
    return int(height), int(width)
