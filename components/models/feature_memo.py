"""Features of images that were seen before: trials, folds and the model that is kept see the same ones.

So do candidate, champion and explanation. A network gives an image the same bits whatever came with it, so what is
remembered is what would be computed again.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..core.ports import Image
from .inference import Floats, has_cuda

Features = list[Floats]
"""Of one image, ``(h, w, C)`` a layer."""


@dataclass(frozen=True, slots=True)
class Source:
    """What features come from.

    Attributes:
        layers: Of a network, each known by what gives it the same bits whatever other layers are asked for with it.
        framing: How images reach the network.
    """

    layers: tuple[Hashable, ...]
    framing: Hashable = None

    def gives(self, other: "Source") -> bool:
        """Whether the other's features are among its own."""
        return self.framing == other.framing and set(other.layers) <= set(self.layers)


class Memo:
    """What networks gave for images, up to `limit` bytes; those of the network that was asked longest ago go first.

    They go one by one: two networks that take turns, as the members of an ensemble do, would empty each other. Once one
    network's alone fill it, no more are taken: to trade old ones for new ones would lose the old ones just before the
    next fit reads the same images in the same order.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._known: OrderedDict[Source, dict[bytes, Features]] = OrderedDict()
        self._sizes: dict[Source, int] = {}

    @property
    def held(self) -> int:
        """Bytes of what is remembered."""
        return sum(self._sizes.values())

    def get(self, network: Source, image: bytes) -> Features | None:
        """What `network` gave for the image of that digest, or one that gives more layers."""
        for known in [known for known in reversed(self._known) if known.gives(network)]:
            self._known.move_to_end(known)
            if image in self._known[known]:
                features = self._known[known][image]
                return [features[known.layers.index(layer)] for layer in network.layers]
        return None

    def put(self, network: Source, image: bytes, features: Features) -> None:
        """Remember it if there is room, or room can be made by what other networks gave."""
        own, size = self._known.setdefault(network, {}), _bytes(features)
        self._known.move_to_end(network)
        if image in own or self._sizes.get(network, 0) + size > self.limit:
            return
        while self.held + size > self.limit:
            self._forget_one()
        for layer in features:
            layer.flags.writeable = False
        own[image] = features
        self._sizes[network] = self._sizes.get(network, 0) + size

    def _forget_one(self) -> None:
        """The newest image of the network that was asked longest ago: it reads the older ones first the next time."""
        oldest, known = next(iter(self._known.items()))
        if known:
            _, features = known.popitem()
            self._sizes[oldest] -= _bytes(features)
        if not known:
            del self._known[oldest]
            self._sizes.pop(oldest, None)

    def close(self) -> None:
        """Give back what is remembered, and remember no more."""
        self.limit = 0.0
        self._known.clear()
        self._sizes.clear()


class _Process:
    """The memo of this process; None while nothing is remembered."""

    memo: ClassVar[Memo | None] = None


@contextmanager
def remembering(limit: float) -> Iterator[None]:
    """Remember features while the block runs, up to `limit` bytes; within another such block that one's go on.

    Nothing is remembered where images go through a network together, on CUDA: what came with an image may show there.
    """
    outer = _Process.memo
    if not has_cuda() and (outer is None or outer.limit == 0):
        _Process.memo = Memo(limit)
    try:
        yield
    finally:
        _Process.memo = outer


@contextmanager
def forgetting() -> Iterator[None]:
    """Use nothing that is remembered while the block runs, and take nothing: for what is timed."""
    outer, _Process.memo = _Process.memo, None
    try:
        yield
    finally:
        _Process.memo = outer


def remembered() -> Memo | None:
    """The memo of the block that runs, which a fit that needs the memory may close."""
    return _Process.memo


def features_of(
    network: Source, images: Sequence[Image], compute: Callable[[Sequence[Image]], list[Features]]
) -> list[Features]:
    """Of each image its features by `network`, computed where they are not remembered."""
    memo = _Process.memo
    if memo is None or memo.limit == 0:
        return compute(images)
    digests = [_digest(image) for image in images]
    image_of = dict(zip(digests, images, strict=True))
    found = {digest: features for digest in image_of if (features := memo.get(network, digest)) is not None}
    missing = [digest for digest in image_of if digest not in found]
    for digest, features in zip(missing, compute([image_of[digest] for digest in missing]), strict=True):
        memo.put(network, digest, features)
        found[digest] = features
    return [found[digest] for digest in digests]


def _bytes(features: Features) -> int:
    return sum(layer.nbytes for layer in features)


def _digest(image: Image) -> bytes:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=32)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()
