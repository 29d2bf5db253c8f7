"""Images on their way into a backbone: checked, and scaled to its input."""

import numpy as np
from PIL import Image as Pictures

from ..core.errors import ModelError
from ..core.ports import Image


def check_image(image: Image) -> None:
    """Raise ModelError unless `image` is ``(H, W, 3)`` uint8 with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ModelError(
            f"An image must be (H, W, 3) of uint8, got {image.shape} of {image.dtype}.",
            hint="Grey images have three equal channels.",
        )


def squared(image: Image, *, size: int) -> Image:
    """`image` as ``(size, size, 3)``, antialiased; both sides are scaled on their own, as PatchCore's authors do.

    >>> squared(np.zeros((100, 400, 3), np.uint8), size=128).shape
    (128, 128, 3)
    """
    if image.shape[:2] == (size, size):
        return image.copy()  # torch wants memory that it may write to
    return np.array(Pictures.fromarray(image).resize((size, size), Pictures.Resampling.BILINEAR))
