"""Patches of training images, drawn so that they fit in memory however many images there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..core.ports import Image, Progress, Samples, batches
from ..core.subset import Subset
from .images import flat_refusal, is_flat
from .inference import Floats
from .on_backbone import IMAGES_AT_ONCE
from .views import View


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """Patches of training images.

    Attributes:
        patches: ``(P, E)``.
        images: ``(P,)`` which of the images read each comes from, from 0.
        plain: ``(P,)`` whether it is of an image as it is, not of another view of it.
        read: Images read.
        seen: Patches that these have.
    """

    patches: Floats
    images: NDArray[np.intp]
    plain: NDArray[np.bool_]
    read: int
    seen: int


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which images are read, and how many patches each of them gives.

    Attributes:
        images: Places of the images, rising and evenly spaced.
        quota: Patches of one image in one of its views, drawn evenly where it has more.
    """

    images: NDArray[np.intp]
    quota: int

    @classmethod
    def of(cls, count: int, *, most: int, views: int = 1) -> "Share":
        """Of `count` images, each seen in so many `views`, so that `most` patches are kept in all.

        >>> share = Share.of(20_000, most=200_000)
        >>> len(share.images), share.quota
        (20000, 10)
        """
        chosen = np.linspace(0, count - 1, min(count, most // views)).astype(np.intp)
        return cls(images=chosen, quota=max(1, most // (views * len(chosen))))


def sampled(
    samples: Samples,
    *,
    share: Share,
    views: Sequence[View],
    shape: tuple[int, int],
    patches_of: Callable[[Sequence[Image]], list[Floats]],
    rng: np.random.Generator,
    progress: Progress,
) -> Sampled:
    """The patches that `share` allows of `samples`, each image seen in all `views`.

    Args:
        samples: Images.
        share: What is read of them.
        views: See `views`.
        shape: Patches that an image has at most, and E.
        patches_of: Patches ``(P, E)`` of each of some images.
        rng: Draws the patches.
        progress: Told of every batch.

    Raises:
        ModelError: All images are of one flat colour each.
    """
    # Filled in place: to join parts at the end would take the memory twice. Rows that stay empty take none.
    kept = np.empty((len(share.images) * len(views) * min(share.quota, shape[0]), shape[1]), np.float32)
    origins, plain = np.empty(len(kept), np.intp), np.zeros(len(kept), np.bool_)
    flat, filled, seen, read = True, 0, 0, 0
    for batch in batches(Subset(samples, share.images), size=IMAGES_AT_ONCE):
        images = cast(Sequence[Image], batch)
        flat = flat and is_flat(images)
        for number, view in enumerate(views):
            for place, found in enumerate(patches_of([view(image) for image in images])):
                drawn = found[rng.permutation(len(found))[: share.quota]] if len(found) > share.quota else found
                span = slice(filled, filled + len(drawn))
                kept[span], origins[span], plain[span] = drawn, read + place, number == 0
                filled, seen = span.stop, seen + len(found)
        read += len(images)
        progress("reading patches", read, len(share.images))
    if flat:
        raise flat_refusal(read)
    return Sampled(patches=kept[:filled], images=origins[:filled], plain=plain[:filled], read=read, seen=seen)
