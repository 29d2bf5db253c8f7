"""A detector as one network, for machines that have no Linewright."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SPREAD = "uncertainty"
"""The output that says how uncertain a score is, where a network has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeNetwork:
    """Everything between a sample and its score.

    The network takes one image as often as `preparation` names sizes, each ``(1, H, W, 3)`` of uint8, or windows
    ``(N, W, D)`` of float32 as `window`. It gives `score` ``(N,)``; for images `map` ``(1, G, G)``, on the scale of the
    score; `uncertainty` ``(N,)``, its standard deviation, where the detector tells it.

    Attributes:
        onnx: The network, serialized.
        outputs: Their names.
        preparation: What makes the network's inputs of a sample, in words and numbers that JSON can hold; `sizes` are
            height and width by the name of an input.
    """

    onnx: bytes
    outputs: tuple[str, ...]
    preparation: Mapping[str, Any]
