"""Images on their way into a backbone: checked, and scaled without distortion."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from ..core.errors import ModelError
from ..core.ports import Image

_STEP = 16
_MOST_ELONGATED = 4  # the longer side is at most this many times `size`, however thin the image


def check_image(image: Image) -> None:
    """Raise ModelError unless `image` is ``(H, W, 3)`` uint8 with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ModelError(
            f"An image must be (H, W, 3) of uint8, got {image.shape} of {image.dtype}.",
            hint="Grey images have three equal channels.",
        )


def scaled(image: Image, *, size: int) -> Image:
    """`image` with about ``size * size`` pixels, aspect kept, both sides multiples of 16; antialiased.

    Equal area, not equal longer side: thin images keep as many patches as square ones, and none of them is padding.

    >>> scaled(np.zeros((100, 400, 3), np.uint8), size=128).shape
    (64, 256, 3)
    """
    height, width = image.shape[:2]
    scale = min(size / math.sqrt(height * width), _MOST_ELONGATED * size / max(height, width))
    shape = tuple(max(_STEP, round(side * scale / _STEP) * _STEP) for side in (width, height))
    if shape == (width, height):
        return image.copy()  # torch wants memory that it may write to
    return np.asarray(Pictures.fromarray(image).resize(shape, Pictures.Resampling.BILINEAR)).copy()


def spread(heat: NDArray[np.float32], *, side: int) -> NDArray[np.float32]:
    """A map ``(h, w)`` of any aspect as ``(side, side)``, still covering the whole image."""
    if heat.shape == (side, side):
        return heat
    picture = Pictures.fromarray(heat).resize((side, side), Pictures.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float32)
