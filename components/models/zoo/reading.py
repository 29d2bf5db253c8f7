"""Features of images as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..inference import Floats


def stacked(found: Sequence[Sequence[Floats]]) -> list[Tensor]:
    """One ``(N, C, h, w)`` a layer, of N images' layers ``(h, w, C)``."""
    return [torch.from_numpy(np.stack(layer)).permute(0, 3, 1, 2).contiguous() for layer in zip(*found, strict=True)]
