"""Images on their way into a backbone: checked, and scaled to its input."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from ..core.errors import ModelError
from ..core.ports import Image

F = TypeVar("F", np.float32, np.float64)


def check_image(image: Image) -> None:
    """Raise ModelError unless `image` is ``(H, W, 3)`` uint8 with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ModelError(
            f"An image must be (H, W, 3) of uint8, got {image.shape} of {image.dtype}.",
            hint="Grey images have three equal channels.",
        )


def is_flat(images: Sequence[Image]) -> bool:
    """Whether each is of one colour.

    >>> is_flat([np.zeros((4, 4, 3), np.uint8)])
    True
    """
    return all(int(np.ptp(image, axis=(0, 1)).max()) == 0 for image in images)


def flat_refusal(count: int) -> ModelError:
    """The error to raise where all of `count` training images are flat."""
    return ModelError(
        f"All {count} images are of one flat colour each: there is nothing to learn.",
        hint="Check the camera or the source.",
    )


def scaled(image: Image, *, height: int, width: int) -> Image:
    """`image` as ``(height, width, 3)``, antialiased; grey stays grey, because channels are scaled alike.

    >>> scaled(np.zeros((100, 400, 3), np.uint8), height=128, width=128).shape
    (128, 128, 3)
    """
    if image.shape[:2] == (height, width):
        return image.copy()  # torch wants memory that it may write to
    return np.array(Pictures.fromarray(image).resize((width, height), Pictures.Resampling.BILINEAR))


def over_square(grid: NDArray[F], *, side: int) -> NDArray[F]:
    """`grid` ``(h, w)`` as ``(side, side)``, both spread over the same whole image; values are repeated, not mixed.

    >>> over_square(np.array([[1.0, 2.0]], np.float32), side=2).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    rows, columns = (np.arange(side) * count // side for count in grid.shape)
    return grid[np.ix_(rows, columns)]
