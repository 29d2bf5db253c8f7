"""Heat maps over images, coloured against the threshold: what is normal stays calm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.ports import Image

STRONGEST = 0.75
"""Opacity of the hottest places; below 1, so that what is under them can still be judged."""
COLDEST = 0.2
"""Where on the colour map heat begins: its darkest fifth would read as shade on the product."""
_OUTLINE = np.array([0, 229, 255], dtype=np.uint8)
_CORE = np.array([0, 0, 0], dtype=np.uint8)

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Map values and colours: `low` and less is clear, `high` and more the hottest colour; `threshold` is outlined."""

    low: float
    high: float
    threshold: float


def anchored_scale(threshold: float, *, background: float) -> Scale:
    """A scale that begins half-way from `background` to `threshold` and ends as far above it again.

    Pictures of one model and background can be compared.

    Args:
        threshold: Scores above it are NG.
        background: Usual value of the maps of normal samples, or of the one map that is drawn.

    >>> anchored_scale(3.0, background=1.0)
    Scale(low=2.0, high=5.0, threshold=3.0)
    """
    step = max(threshold - background, 1e-6 * max(1.0, abs(threshold)))
    return Scale(low=threshold - step / 2, high=threshold + step, threshold=threshold)


def overlay(image: Image, score_map: Map, *, low: float, high: float, outline: float | None = None) -> Image:
    """`score_map` over `image`: hotter is more anomalous, opacity grows with heat.

    Colours are matplotlib's "inferno", perceptually uniform, so that equal steps of the map look equal.

    Args:
        image: ``(H, W, 3)``; not changed.
        score_map: ``(h, w)``, covers the whole image at any resolution.
        low: Map value that is clear.
        high: Map value of the hottest colour; greater than `low`.
        outline: Places above this map value are outlined; none by default. Where the map goes beyond `high`, and all of
            it has the hottest colour, what lies in the upper half of the rest is outlined in black.

    Raises:
        ValueError: `high` is not above `low`.
    """
    if not high > low:
        raise ValueError(f"high must be above low, got {low} and {high}")
    from matplotlib import colormaps

    values = enlarge(score_map, image.shape[0], image.shape[1])
    mixed = image.copy()
    # Most of a normal image is clear, and colours cost ten times as much as looking for what is not.
    hot = values > low
    heat = np.clip((values[hot] - low) / (high - low), 0.0, 1.0)
    colours = colormaps["inferno"](COLDEST + (1 - COLDEST) * heat)[:, :3] * 255
    alpha = (STRONGEST * heat**0.7)[:, None]
    mixed[hot] = np.rint(image[hot] * (1 - alpha) + colours * alpha).astype(np.uint8)
    width = max(1, min(image.shape[:2]) // 300)
    if outline is not None and (marked := values > outline).any():
        mixed[_border(marked, width=width)] = _OUTLINE
    if outline is not None and (most := float(values.max())) > high:
        mixed[_border(values > (high + most) / 2, width=width)] = _CORE
    return mixed


def enlarge(score_map: Map, height: int, width: int) -> Map:
    """`score_map` at ``(height, width)``, smoothly (bicubic), within its own range."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.ascontiguousarray(score_map, dtype=np.float32))
    resized = np.asarray(picture.resize((width, height), Pillow.Resampling.BICUBIC), dtype=np.float32)
    within: Map = np.clip(resized, score_map.min(), score_map.max())
    return within


def _border(inside: NDArray[np.bool_], *, width: int) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation

    grown: NDArray[np.bool_] = binary_dilation(inside, iterations=width)
    return grown & ~inside
