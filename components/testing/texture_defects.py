"""Defects drawn into a picture of crushed stone: wire, stain, gap, foreign body; each with its pixel mask.

All work on reflectance ``(H, W, 3)`` in [0, 1], before light and camera, so that a drift of the light hits a defect
as it hits the stones. H and W are equal. Light comes from the upper left, as in the photograph.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Picture = NDArray[np.float64]
Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Outlines are drawn this many times larger and averaged down: antialiasing.
_OVERSAMPLING = 4


def wire(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A thin bent wire lying on the stones, steel or copper."""
    size = len(picture)
    length, angle = size * rng.uniform(0.35, 0.75), rng.uniform(0, 2 * np.pi)
    middle = rng.uniform(0.38, 0.62, 2) * size
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    places = np.array([-0.5, -0.17, 0.17, 0.5])
    controls = middle + length * (places[:, None] * along + rng.normal(0, 0.12, 4)[:, None] * across)
    width = size / 160 * rng.uniform(1.6, 3.2)
    alpha = _coverage(size, lambda pen, k: _stroke(pen, _bezier(controls) * k, width * k))
    tint = (1.0, 0.78, 0.6) if rng.random() < 0.4 else (1.0, 1.0, 1.02)
    colour = rng.uniform(0.5, 0.8) * np.array(tint)
    return _lay(picture, alpha, colour, relief=0.25, shadow=0.45 * width / 2), alpha > 0.4


def stain(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Thick oil: darker, browner, ragged at the edge; the stones show through, their finest grain does not."""
    alpha = _blob(len(picture), rng, radius=rng.uniform(0.12, 0.2), ragged=0.9, softness=0.35)
    absorbed = rng.uniform(0.35, 0.62) * np.array([0.9, 1.0, 1.15])
    smooth = ndimage.gaussian_filter(picture, (*([2.0 * len(picture) / 160] * 2), 0))
    film = (0.35 * picture + 0.65 * smooth) * (1 - absorbed)
    return _mix(picture, film, alpha), alpha > 0.5


def gap(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Stones are missing: the dark belt below shows, ribbed, in the shade of the upper left edge."""
    size = len(picture)
    alpha = _blob(size, rng, radius=rng.uniform(0.085, 0.14), ragged=0.7, softness=0.1)
    ribs = np.sin(np.arange(size) * 2 * np.pi * rng.uniform(0.1, 0.14) * 160 / size + rng.uniform(0, 6))
    belt = rng.uniform(0.24, 0.34) + 0.02 * ribs[None, :] + rng.normal(0, 0.015, (size, size))
    depth = _moved(1 - alpha, size / 60, size / 80)
    belt = (belt * (1 - 0.4 * depth))[..., None] * np.array([1.0, 1.0, 1.03])
    return _mix(picture, belt, alpha), alpha > 0.5


def foreign(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A smooth shard of wood or plastic with bevelled edges and a shadow, in colours near the stones'."""
    size = len(picture)
    corners = int(rng.integers(4, 7))
    turns = np.sort((np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners) + rng.uniform(0, 6)
    radii = size * rng.uniform(0.06, 0.12) * rng.uniform(0.75, 1.25, corners)
    shape = np.stack([np.cos(turns) * rng.uniform(0.5, 1.0), np.sin(turns)], axis=1) * radii[:, None]
    tilt = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    outline = shape @ turn + rng.uniform(0.25, 0.75, 2) * size
    alpha = _coverage(size, lambda pen, k: pen.polygon(_points(outline * k), fill=255))
    tint = [(1.0, 0.86, 0.68), (0.84, 0.95, 1.06), (0.97, 1.0, 0.97)][int(rng.integers(3))]
    grain = ndimage.gaussian_filter1d(rng.normal(0, 0.12, (size, size)), 6, axis=int(rng.integers(2)))
    surface = (rng.uniform(0.42, 0.62) + grain)[..., None] * np.array(tint)
    return _lay(picture, alpha, surface, relief=0.3, shadow=1.6), alpha > 0.5


DEFECTS: dict[str, Callable[[Picture, np.random.Generator], tuple[Picture, Mask]]] = {
    "wire": wire,
    "stain": stain,
    "gap": gap,
    "foreign": foreign,
}
"""Kind → how it is drawn: returns the changed picture and where it was changed."""


def _lay(picture: Picture, alpha: Plane, surface: Picture, *, relief: float, shadow: float) -> Picture:
    """A thing with `surface` on top of the stones: shadow below it, light and dark edges on it."""
    offset = shadow * len(picture) / 160
    shaded = picture * (1 - 0.55 * _moved(alpha, offset, offset))[..., None]
    soft = ndimage.gaussian_filter(alpha, 0.8 * len(picture) / 160)
    edges = ndimage.sobel(soft, axis=0) + ndimage.sobel(soft, axis=1)
    return _mix(shaded, surface * (1 + relief * edges / 4)[..., None], alpha)


def _mix(below: Picture, above: Picture, alpha: Plane) -> Picture:
    return below * (1 - alpha[..., None]) + above * alpha[..., None]


def _moved(alpha: Plane, down: float, right: float) -> Plane:
    """`alpha` shifted and blurred by about as much: a cast shadow."""
    moved = ndimage.shift(alpha, (down, right), order=1, mode="nearest")
    return cast(Plane, ndimage.gaussian_filter(moved, 0.6 * max(down, 0.5)))


def _blob(size: int, rng: np.random.Generator, *, radius: float, ragged: float, softness: float) -> Plane:
    """A round patch with a noisy outline; `radius` and place are shares of `size`, `softness` of the radius."""
    rows, columns = np.mgrid[:size, :size] / size
    row, column = rng.uniform(0.2, 0.8, 2)
    distance = np.hypot((rows - row) * rng.uniform(0.75, 1.3), columns - column) / radius
    noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), size * radius / 5)
    inside = 1 - distance + ragged * noise / (3 * noise.std())
    step = np.clip(inside / softness + 0.5, 0, 1)
    # A patch far from the middle is another patch's noise, not this defect.
    return cast(Plane, step * step * (3 - 2 * step) * (distance < 1 + ragged))


def _coverage(size: int, draw: Callable[[ImageDraw.ImageDraw, int], object]) -> Plane:
    """Share of each pixel that `draw(pen, scale)` covers, ``(size, size)``."""
    canvas = Image.new("L", (size * _OVERSAMPLING, size * _OVERSAMPLING))
    draw(ImageDraw.Draw(canvas), _OVERSAMPLING)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX), dtype=np.float64) / 255


def _stroke(pen: ImageDraw.ImageDraw, path: NDArray[np.float64], width: float) -> None:
    pen.line(_points(path), fill=255, width=max(1, round(width)), joint="curve")


def _points(path: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in path]


def _bezier(controls: NDArray[np.float64]) -> NDArray[np.float64]:
    """48 points of the cubic Bezier curve with four `controls` ``(4, 2)``."""
    t = np.linspace(0, 1, 48)[:, None]
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    return cast(NDArray[np.float64], sum(weight * control for weight, control in zip(weights, controls, strict=True)))
