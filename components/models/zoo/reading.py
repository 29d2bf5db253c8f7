"""That training images hold something to learn, and their features as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...core.errors import ModelError
from ...core.ports import Image
from ..inference import Floats


def is_flat(images: Sequence[Image]) -> bool:
    """Whether each is of one colour.

    >>> is_flat([np.zeros((4, 4, 3), np.uint8)])
    True
    """
    return all(int(np.ptp(image, axis=(0, 1)).max()) == 0 for image in images)


def flat_refusal(count: int) -> ModelError:
    """The error to raise where all of `count` images are flat."""
    return ModelError(
        f"All {count} images are of one flat colour each: there is nothing to learn.",
        hint="Check the camera or the source.",
    )


def stacked(found: Sequence[Sequence[Floats]]) -> list[Tensor]:
    """One ``(N, C, h, w)`` a layer, of N images' layers ``(C, h, w)``."""
    return [torch.from_numpy(np.stack(layer)) for layer in zip(*found, strict=True)]
