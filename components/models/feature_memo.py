"""Features of images that were seen before: trials of a search, folds and the model that is kept see the same ones.

A network gives an image the same bits whatever came with it, so what is remembered is what would be computed again.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import numpy as np

from ..core.ports import Image
from .inference import Floats

Features = list[Floats]
"""Of one image, ``(C, h, w)`` a layer."""


class Memo:
    """What networks gave for images, up to `limit` bytes; those of the network that was asked longest ago go first."""

    def __init__(self, limit: float) -> None:
        self._limit, self._held = limit, 0
        self._known: OrderedDict[Hashable, dict[bytes, Features]] = OrderedDict()

    def get(self, network: Hashable, image: bytes) -> Features | None:
        """What `network` gave for the image of that digest."""
        if network not in self._known:
            return None
        self._known.move_to_end(network)
        return self._known[network].get(image)

    def put(self, network: Hashable, image: bytes, features: Features) -> None:
        """Remember it, unless this network alone would fill the memo."""
        size = _bytes(features)
        while self._held + size > self._limit and len(self._known) > (network in self._known):
            oldest = next(iter(self._known))
            self._held -= sum(_bytes(one) for one in self._known.pop(oldest).values())
        if self._held + size <= self._limit:
            for layer in features:
                layer.flags.writeable = False
            self._known.setdefault(network, {})[image] = features
            self._known.move_to_end(network)
            self._held += size

    def close(self) -> None:
        """Give back what is remembered, and remember no more."""
        self._limit, self._held = 0.0, 0
        self._known.clear()


class _Process:
    """The memo of this process; None while nothing is remembered."""

    memo: ClassVar[Memo | None] = None


@contextmanager
def remembering(limit: float) -> Iterator[None]:
    """Remember features while the block runs, up to `limit` bytes; within another such block that one's go on."""
    outer = _Process.memo
    _Process.memo = outer or Memo(limit)
    try:
        yield
    finally:
        _Process.memo = outer


def forget() -> None:
    """Give back what is remembered; a block that remembers does so no longer."""
    if _Process.memo is not None:
        _Process.memo.close()


def features_of(
    network: Hashable, images: Sequence[Image], compute: Callable[[Sequence[Image]], list[Features]]
) -> list[Features]:
    """Of each image its features by `network`, computed where they are not remembered."""
    memo = _Process.memo
    if memo is None:
        return compute(images)
    digests = [_digest(image) for image in images]
    found = [memo.get(network, digest) for digest in digests]
    missing = [place for place, features in enumerate(found) if features is None]
    for place, features in zip(missing, compute([images[place] for place in missing]), strict=True):
        memo.put(network, digests[place], features)
        found[place] = features
    return [features for features in found if features is not None]


def _digest(image: Image) -> bytes:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=32)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _bytes(features: Features) -> int:
    return sum(layer.nbytes for layer in features)
