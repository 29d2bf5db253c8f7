"""How much memory a fit over a backbone takes at its peak, before it starts.

Counted is what grows: the network, the images in memory at once, the patches that are kept and the work on them; not
what the libraries take by being loaded.
"""

from .parallel import processors
from .tiling import Frame

_FLOAT = 4
_NETWORK = {"efficientnet-lite0": 60e6, "dino-vits14": 220e6}
"""A compiled network with its weights, bytes."""
_ACTIVATIONS = 180.0
"""Of one request, bytes for each pixel of a tile."""
_COPIES = 3
"""Of the features of images that are read at once: the network's, put together, and by patch."""
_COMPARED = 65_536
"""Patches at most of which the coreset and the search for left-out scores make two copies at once."""
_CANDIDATES = 4096
"""Patches that a round of the coreset compares with each other."""


def network_bytes(name: str, *, frame: Frame) -> float:
    """The network of the backbone `name`."""
    return _NETWORK[name] + processors() * _ACTIVATIONS * frame.size**2


def reading_bytes(*, images: int, pixels: int, frame: Frame, channels: int, stride: int) -> float:
    """Images that are in memory at once, with their canvases and features.

    Args:
        images: How many.
        pixels: Of one of them as it is read.
        frame: How they reach the backbone.
        channels: E of a patch.
        stride: Pixels between patches.
    """
    canvas = frame.side**2
    return images * (2 * 3 * (pixels + canvas) + _COPIES * canvas / stride**2 * channels * _FLOAT)


def memory_bytes(*, patches: int, channels: int, centres: int) -> float:
    """P patches of E channels, from which M centres are chosen.

    >>> memory_bytes(patches=200_000, channels=432, centres=4_000) / 1e9 < 1
    True
    """
    row = channels * _FLOAT
    kept = patches * (row + 2 * 8 + _FLOAT)  # with where each comes from, its nearest centre and how far that is
    between = min(centres, _CANDIDATES) ** 2 * _FLOAT
    return kept + 2 * min(patches, _COMPARED) * row + 3 * centres * row + between
