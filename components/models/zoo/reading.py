"""Features of images as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..inference import Floats


def stacked(found: Sequence[Sequence[Floats]]) -> list[Tensor]:
    """One ``(N, C, h, w)`` a layer, of N images' layers ``(C, h, w)``."""
    return [torch.from_numpy(np.stack(layer)) for layer in zip(*found, strict=True)]
