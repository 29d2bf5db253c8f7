"""Regions of an image filled with what normal images show at the same place.

Never with zeros or a mean colour: no detector has seen such a patch, so that it would score high whatever was there
before. A line's camera stands still, so the same place of another normal image is what usually stands there. Among some
normal images the one is taken whose surroundings of the region are most like the image's own, and the seam fades over.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.ports import Image, Samples
from components.explain.overlays import enlarge

GRID = 128
"""Least rows and columns of the grid that regions are worked out on; it covers the whole image, whatever its shape."""
SEAM, RING = 1 / 32, 1 / 12
"""Shares of the grid's shorter side: by which the filling goes beyond a region, and then fades out, since maps are
coarse; and how far around the region colours are compared."""

Region = NDArray[np.bool_]
"""``(h, w)``, covers the whole image at any resolution."""


class NormalImages:
    """Normal images that others are filled from; one is read at a time, only small copies stay in memory.

    Args:
        samples: N images.
        indices: Which of them to fill from, at least one.
    """

    def __init__(self, samples: Samples, indices: Sequence[int]) -> None:
        self._samples, self._indices = samples, list(indices)
        self._small: dict[tuple[int, int], list[NDArray[np.float32]]] = {}

    def __len__(self) -> int:
        return len(self._indices)

    def image(self, number: int) -> Image:
        """The normal image of that number, from 0."""
        return np.asarray(self._samples.take([self._indices[number]])[0])

    def fill(self, image: Image, region: Region) -> Image:
        """A copy of `image` ``(H, W, 3)`` with all of `region` filled; the seam fades out around it."""
        from scipy.ndimage import distance_transform_edt

        shape = max(region.shape[0], GRID), max(region.shape[1], GRID)
        beyond = distance_transform_edt(~_nearest(region, shape))
        ring = (beyond > 0) & (beyond <= max(1.0, RING * min(shape)))
        donor = _resized(self.image(self._most_alike(image, ring)), image.shape[:2])
        fading = np.clip(2 - beyond / max(1.0, SEAM * min(shape)), 0, 1).astype(np.float32)
        share = enlarge(fading, *image.shape[:2])[..., None]
        filled: Image = np.rint(image * (1 - share) + donor * share).astype(np.uint8)
        return filled

    def _most_alike(self, image: Image, ring: Region) -> int:
        """Number of the normal image whose colours in `ring` are closest to those of `image`."""
        shape = ring.shape[0], ring.shape[1]
        if shape not in self._small:
            self._small[shape] = [_shrunken(self.image(number), shape) for number in range(len(self))]
        own = _shrunken(image, shape)[ring]
        return int(np.argmin([np.square(small[ring] - own).sum() for small in self._small[shape]]))


def marked_region(heat: NDArray[np.float32], *, threshold: float, largest: float) -> Region | None:
    """Where `heat` ``(h, w)`` marks its image: above `threshold`, as the pictures outline it.

    Where nothing is above, the cut is half-way from the map's median to its maximum; where more than the share
    `largest` is, it is the map's quantile that leaves that share. None where the map is flat and marks nothing.
    """
    high, middle = float(heat.max()), float(np.median(heat))
    cut = threshold if high > threshold else (high + middle) / 2
    region: Region = heat > max(cut, float(np.quantile(heat, 1 - largest)))
    if not region.any():
        region = heat >= high
    return None if region.all() else region


def elsewhere(region: Region, *, rng: np.random.Generator) -> Region:
    """`region` mirrored at random and moved to a random place; what leaves one side comes in at the other."""
    rows, columns = (int(rng.integers(size)) for size in region.shape)
    down, right = (-1 if rng.random() < 0.5 else 1 for _ in range(2))
    return np.roll(region[::down, ::right], (rows, columns), axis=(0, 1))


def _nearest(region: Region, shape: tuple[int, int]) -> Region:
    rows, columns = ((np.arange(size) * old) // size for size, old in zip(shape, region.shape, strict=True))
    return region[np.ix_(rows, columns)]


def _shrunken(image: Image, shape: tuple[int, int]) -> NDArray[np.float32]:
    return _resized(image, shape).astype(np.float32)


def _resized(image: Image, shape: tuple[int, int]) -> Image:
    from PIL import Image as Pillow

    if image.shape[:2] == shape:
        return image
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((shape[1], shape[0]), Pillow.Resampling.BOX))
