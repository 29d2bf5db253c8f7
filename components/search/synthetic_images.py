"""Drawn defects on normal images: pasted cuts, Perlin patches, specks and hairlines, with masks.

Sources: CutPaste (Li et al., CVPR 2021: a cut pasted elsewhere, and thin rotated "scars") and DRAEM (Zavrtanik et
al., ICCV 2021, "Simulated anomaly generation": a Perlin-noise mask, another texture blended in with some opacity).
DRAEM takes its textures from an outside set; here another normal sample, mirrored and cut into shuffled tiles,
serves instead, after MemSeg's structural anomalies (Yang et al. 2023). Sizes and opacities are smaller than in the
papers, whose defects are drawn to be learned from: these are to be found, some of them barely. Specks and hairlines are
ours: the papers' defects are so large that a model blind to a pinhole or a thin crack may find every one of them.
"""

import numpy as np
from numpy.typing import NDArray

from components.core.ports import Image

Mask = NDArray[np.bool_]
"""``(H, W)``, true where the image was changed."""

Drawn = tuple[tuple[slice, slice], NDArray[np.float64]]
"""A part of an image, and how much of each of its pixels is covered, in [0, 1]."""

_LEAST_CHANGE = 6.0
"""Mean absolute change within a mask, in grey levels of 255, below which nobody could see the defect."""

_CONTRAST = (2.0, 10.0)
"""Of specks and hairlines, in units of what neighbouring pixels differ by or of `_LEAST_CHANGE`, the greater."""

_ATTEMPTS = 8


def draw_defect(image: Image, *, donor: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    """`image` ``(H, W, 3)`` with one defect made of itself or of `donor`, another normal image, and its mask."""
    for _ in range(_ATTEMPTS):
        changed, mask = _draw(int(rng.integers(4)), image, donor, rng)
        if mask.any() and _change(image, changed, mask) >= _LEAST_CHANGE:
            return changed, mask
    # A blank part has nothing to cut: stain it.
    mask = _perlin_mask(image.shape[:2], rng)
    light = image.astype(np.float64).mean() < 128
    return _blend(image, np.full_like(image, 255 if light else 0), mask, opacity=rng.uniform(0.15, 0.4)), mask


def _draw(kind: int, image: Image, donor: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    if kind == 0:
        return _cut_paste(image, rng)
    if kind == 1:
        return _scar(image, donor, rng)
    if kind == 2:
        return _perlin_patch(image, donor, rng)
    small = _speck if rng.random() < 0.5 else _hairline
    return _toned(image, small(image.shape[:2], rng), rng)


def _cut_paste(image: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A rectangle of 0.5 to 5 % of the area, sides up to 1:3, colours jittered by up to a tenth, pasted elsewhere."""
    height, width = image.shape[:2]
    area, ratio = rng.uniform(0.005, 0.05) * height * width, _log_uniform(1 / 3, 3, rng)
    h, w = _side(np.sqrt(area * ratio), height), _side(np.sqrt(area / ratio), width)
    cut = _jitter(_crop(image, h, w, rng), rng, 0.1)
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    return _paste(image, cut, np.ones((h, w), dtype=bool), rng)


def _scar(image: Image, donor: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A thin strip, 1 to 4 % of the short side wide and 8 to 20 % long, turned by up to 45 degrees."""
    from scipy.ndimage import rotate

    short = min(image.shape[:2])
    h, w = _side(rng.uniform(0.08, 0.2) * short, short), _side(rng.uniform(0.01, 0.04) * short, short)
    angle = float(rng.uniform(-45, 45))
    strip = _jitter(_crop(donor, h, w, rng), rng, 0.2)
    turned = rotate(strip, angle, reshape=True, order=1, mode="nearest")[: image.shape[0], : image.shape[1]]
    shape = rotate(np.ones(strip.shape[:2], dtype=np.uint8), angle, reshape=True, order=0)
    return _paste(image, turned, shape[: image.shape[0], : image.shape[1]].astype(bool), rng)


def _perlin_patch(image: Image, donor: Image, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A cloud-shaped patch of shuffled donor texture, opacity 0.3 to 0.8."""
    mask = _perlin_mask(image.shape[:2], rng)
    return _blend(image, _texture(donor, image.shape[:2], rng), mask, opacity=rng.uniform(0.3, 0.8)), mask


def _speck(shape: tuple[int, ...], rng: np.random.Generator) -> Drawn:
    """A spot of 0.6 to 3 % of the short side, 3 pixels at least, up to twice as long as wide, soft at its edge."""
    width = max(3.0, _log_uniform(0.006, 0.03, rng) * min(shape))
    length, turn, centre = width * rng.uniform(1, 2), rng.uniform(0, np.pi), _place(shape, rng)
    window = _around(centre, reach=int(length), shape=shape)
    y, x = np.ogrid[window]
    y, x = y - centre[0], x - centre[1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    depth = width / 2 * (1 - np.hypot(2 * along / length, 2 * across / width))
    return window, np.clip(depth + 0.5, 0, 1)


def _hairline(shape: tuple[int, ...], rng: np.random.Generator) -> Drawn:
    """A wandering line of 0.2 to 0.8 % of the short side, a pixel at least; 8 to 40 % of it long."""
    from scipy.ndimage import distance_transform_edt

    short = min(shape)
    width, length = max(1.0, _log_uniform(0.002, 0.008, rng) * short), _log_uniform(0.08, 0.4, rng) * short
    steps = max(8, round(2 * length))  # of half a pixel
    heading = rng.uniform(0, 2 * np.pi) + rng.normal(0, 2 / np.sqrt(steps), steps).cumsum()
    start = _place(shape, rng)
    path = np.array(start)[:, None] + np.stack([np.sin(heading), np.cos(heading)]).cumsum(axis=1) * length / steps
    window = _around(start, reach=int(length + width) + 1, shape=shape)
    apart = np.ones(shape, dtype=bool)[window]
    y, x = (np.rint(place).astype(int) - side.start for place, side in zip(path, window, strict=True))
    seen = (y >= 0) & (y < len(apart)) & (x >= 0) & (x < apart.shape[1])
    apart[y[seen], x[seen]] = False
    return window, np.clip(width / 2 + 0.5 - distance_transform_edt(apart), 0, 1)


def _toned(image: Image, drawn: Drawn, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Darker or lighter where something was drawn, by what stands out from the image's own noise."""
    window, opacity = drawn
    noise = float(np.median(np.abs(np.diff(image.astype(np.int16), axis=1)))) if image.shape[1] > 1 else 0.0
    tone = rng.choice((-1, 1)) * _log_uniform(*_CONTRAST, rng) * max(_LEAST_CHANGE, noise)
    changed, mask = image.copy(), np.zeros(image.shape[:2], dtype=bool)
    changed[window] = np.clip(np.rint(image[window] + tone * opacity[..., None]), 0, 255).astype(np.uint8)
    mask[window] = opacity > 0
    return changed, mask


def perlin(shape: tuple[int, int], *, cells: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Perlin's gradient noise ``(H, W)`` within about [-1, 1] on a grid of `cells` (Perlin, SIGGRAPH 1985 and 2002)."""
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    y, x = (np.linspace(0, c, n, endpoint=False) for c, n in zip(cells, shape, strict=True))
    row, column = y.astype(int), x.astype(int)
    fy, fx = (y - row)[:, None], (x - column)[None, :]

    def corner(dy: int, dx: int) -> NDArray[np.float64]:
        gradient = gradients[np.ix_(row + dy, column + dx)]
        noise: NDArray[np.float64] = gradient[..., 0] * (fy - dy) + gradient[..., 1] * (fx - dx)
        return noise

    sy, sx = (t * t * t * (t * (t * 6 - 15) + 10) for t in (fy, fx))
    top = corner(0, 0) * (1 - sx) + corner(0, 1) * sx
    bottom = corner(1, 0) * (1 - sx) + corner(1, 1) * sx
    blended: NDArray[np.float64] = np.sqrt(2) * (top * (1 - sy) + bottom * sy)
    return blended


def _perlin_mask(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """One blob of thresholded noise, 0.2 to 8 % of the image where the noise allows it."""
    from scipy.ndimage import label

    height, width = shape[0], shape[1]
    # Where a cell is a pixel, all of them lie on the grid, on which the noise is 0.
    cells = (min(int(2 ** rng.integers(2, 5)), height // 4), min(int(2 ** rng.integers(2, 5)), width // 4))
    noise = perlin((height, width), cells=cells, rng=rng)
    blobs, count = label(noise > np.quantile(noise, 0.85))
    sizes = np.bincount(blobs.ravel(), minlength=count + 1)[1:] / blobs.size
    fitting = np.flatnonzero((sizes >= 0.002) & (sizes <= 0.08))
    chosen = rng.choice(fitting) if len(fitting) else int(np.argmax(sizes))
    mask: Mask = blobs == chosen + 1
    return mask


def _texture(donor: Image, shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """`donor` at `shape`, mirrored, its colours jittered, its 8 x 8 tiles shuffled."""
    rows, columns = (np.arange(n) * d // n for n, d in zip(shape, donor.shape[:2], strict=True))
    image = _jitter(donor[np.ix_(rows, columns)][:: rng.choice((-1, 1)), :: rng.choice((-1, 1))], rng, 0.2)
    tile_h, tile_w = shape[0] // 8, shape[1] // 8
    shuffled = image.copy()
    for target, source in enumerate(rng.permutation(64)):
        (y, x), (v, u) = divmod(target, 8), divmod(int(source), 8)
        part = image[v * tile_h : (v + 1) * tile_h, u * tile_w : (u + 1) * tile_w]
        shuffled[y * tile_h : (y + 1) * tile_h, x * tile_w : (x + 1) * tile_w] = part
    return shuffled


def _crop(image: Image, h: int, w: int, rng: np.random.Generator) -> Image:
    h, w = min(h, image.shape[0]), min(w, image.shape[1])
    y, x = rng.integers(image.shape[0] - h + 1), rng.integers(image.shape[1] - w + 1)
    return image[y : y + h, x : x + w]


def _paste(image: Image, part: Image, shape: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    height, width = image.shape[:2]
    h, w = part.shape[:2]
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    mask = np.zeros((height, width), dtype=bool)
    mask[y : y + h, x : x + w] = shape
    changed = image.copy()
    changed[mask] = part[shape]
    return changed, mask


def _blend(image: Image, texture: Image, mask: Mask, *, opacity: float) -> Image:
    changed = image.copy()
    mixed = (1 - opacity) * image[mask] + opacity * texture[mask]
    changed[mask] = np.rint(mixed).astype(np.uint8)
    return changed


def _jitter(image: Image, rng: np.random.Generator, strength: float) -> Image:
    """Contrast and brightness changed by up to `strength` of the range; grey stays grey."""
    values = image.astype(np.float64)
    contrast, brightness = 1 + rng.uniform(-strength, strength), 255 * rng.uniform(-strength, strength)
    jittered = (values - values.mean()) * contrast + values.mean() + brightness
    limited: Image = np.clip(np.rint(jittered), 0, 255).astype(np.uint8)
    return limited


def _place(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[float, float]:
    return rng.uniform(0, shape[0] - 1), rng.uniform(0, shape[1] - 1)


def _around(centre: tuple[float, float], *, reach: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of an image up to `reach` pixels from the centre."""
    rows, columns = (
        slice(max(0, round(at) - reach), min(size, round(at) + reach + 1))
        for at, size in zip(centre, shape, strict=True)
    )
    return rows, columns


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _side(wanted: float, longest: int) -> int:
    return max(2, min(round(wanted), longest))


def _change(before: Image, after: Image, mask: Mask) -> float:
    return float(np.abs(after[mask].astype(np.int16) - before[mask].astype(np.int16)).mean())
