"""Training images seen in several ways: few of them say little of what is normal, mirrored or turned they say more.

AnomalyDINO (Damm et al., WACV 2025) turns its few images; mirroring them leaves their sides and the grain of a surface
as they were.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..core.ports import Image
from .params.base import Augment

View = Callable[[Image], Image]


def _as_it_is(image: Image) -> Image:
    return image


_FLIPS: Sequence[View] = (
    _as_it_is,
    partial(np.flip, axis=0),
    partial(np.flip, axis=1),
    partial(np.flip, axis=(0, 1)),
)
_ROTATIONS: Sequence[View] = tuple(partial(np.rot90, k=turn) for turn in range(4))


def views_of(augment: Augment) -> Sequence[View]:
    """The ways that an image is seen where `augment` is settled, first as it is.

    >>> len(views_of("flips")), len(views_of("none"))
    (4, 1)
    """
    return {"none": _FLIPS[:1], "flips": _FLIPS, "rotations": _ROTATIONS}[augment]
