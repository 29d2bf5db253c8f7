"""The demo's image line: a belt of crushed stone under a camera, cut from a photograph that scikit-image carries.

The photograph is `gravel` (512 x 512, grey, CC0, see `skimage.data.gravel`), read from the installed package. Train
and test pictures come from disjoint columns of it, so that no stone of a test picture was ever trained on.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from components.core.errors import ConfigError, UnavailableError
from components.core.seeds import generator
from components.testing.texture_defects import DEFECTS, Picture

SIZES = (64, 192)
"""Smallest and largest side of a picture, in pixels: a turned cut must fit into the 172 test columns."""

# Columns [start, end) of the photograph, which is 512 wide.
_COLUMNS = {"train": (0, 340), "test": (340, 512)}
# Pixels of the photograph for one of a picture: below 1 the camera is closer than the photographer was. The smaller
# the cut and the freer its turn, the less two train pictures share, and the more honest is a threshold set on some.
_STEP = (0.59, 0.62)
# Grey stone, a little yellow.
_STONE = np.array([1.03, 1.0, 0.94])
# Share of the second batch after which the lamp begins to age.
_STEADY_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Light:
    """How the belt is lit.

    Attributes:
        exposure: Factor of brightness, 1 is as photographed.
        vignette: Share of light lost in the corners.
        warmth: Share of red gained and of blue lost.
    """

    exposure: float
    vignette: float
    warmth: float


def write_batch(
    target: Path,
    *,
    batch: int,
    seed: int,
    size: int = 160,
    train_images: int = 64,
    test_good: int = 12,
    test_bad: int = 18,
) -> None:
    """Write one batch of the line below `target`, in the layout of MVTec AD, with names no other batch uses.

    In batch 1 the light is steady. In any later batch the lamp ages from a quarter of the batch on: darker, warmer,
    less light in the corners. The same arguments write the same bytes.

    Args:
        target: Folder of the line; `train/good`, `test/good`, `test/<defect>` and `ground_truth/<defect>` are made.
        batch: Number of the batch, from 1.
        seed: Of everything drawn.
        size: Side of a picture in pixels, within `SIZES`.
        train_images: Normal pictures to train on.
        test_good: Normal pictures of the test set.
        test_bad: Pictures with a defect; the kinds take turns, see `DEFECTS`.

    Raises:
        ConfigError: `size` is out of range.
        UnavailableError: scikit-image does not carry the photograph.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ConfigError(f"picture size {size} is not possible.", hint=f"Use {SIZES[0]} to {SIZES[1]} pixels.")
    photograph = read_photograph()
    kinds = list(DEFECTS)
    jobs = [("train", "good", i, train_images) for i in range(train_images)]
    jobs += [("test", "good", i, test_good) for i in range(test_good)]
    jobs += [("test", kinds[i % len(kinds)], i, test_bad) for i in range(test_bad)]
    for split, kind, index, count in jobs:
        rng = generator(seed, "texture", batch, split, kind, index)
        light = light_of(batch=batch, position=index / max(count - 1, 1), rng=rng)
        picture = _stones(photograph, columns=_COLUMNS[split], size=size, rng=rng)
        name = f"b{batch}-{index:03d}"
        if kind != "good":
            picture, mask = DEFECTS[kind](picture, rng)
            _save(target / "ground_truth" / kind / f"{name}_mask.png", mask.astype(np.uint8) * 255)
        _save(target / split / kind / f"{name}.png", _expose(picture, light=light, rng=rng))


def read_photograph() -> Image.Image:
    """The grey photograph, 512 x 512.

    Raises:
        UnavailableError: The installed scikit-image does not carry it. It is never downloaded.
    """
    path = files("skimage") / "data" / "gravel.png"
    if not path.is_file():
        raise UnavailableError(
            "the installed scikit-image carries no gravel.png.",
            hint="Install the scikit-image of requirements.lock.",
        )
    with path.open("rb") as file:
        return Image.open(file).convert("L")


def light_of(*, batch: int, position: float, rng: np.random.Generator) -> Light:
    """The light at `position` in [0, 1] of a batch: steady in batch 1, ageing in a later one."""
    age = 0.0 if batch == 1 else max(0.0, (position - _STEADY_SHARE) / (1 - _STEADY_SHARE))
    return Light(
        exposure=(1 - 0.25 * age) * rng.normal(1, 0.015),
        vignette=0.10 + 0.22 * age,
        warmth=0.06 * age + rng.normal(0, 0.004),
    )


def _stones(photograph: Image.Image, *, columns: tuple[int, int], size: int, rng: np.random.Generator) -> Picture:
    """Reflectance ``(size, size, 3)`` of a random cut within `columns`, turned and mirrored: stones lie any way."""
    turn = rng.uniform(0, 2 * np.pi)
    step = rng.uniform(*_STEP)
    reach = step * size / 2 * (abs(np.cos(turn)) + abs(np.sin(turn)))
    x = rng.uniform(columns[0] + reach, columns[1] - reach)
    y = rng.uniform(reach, photograph.height - reach)
    cos, sin = step * np.cos(turn), step * np.sin(turn)
    half = size / 2
    # Maps a pixel of the picture to a place in the photograph: (a, b, c, d, e, f), x' = ax + by + c, y' = dx + ey + f.
    place = (cos, -sin, x - cos * half + sin * half, sin, cos, y - sin * half - cos * half)
    cut = photograph.transform((size, size), Image.Transform.AFFINE, place, Image.Resampling.BICUBIC)
    grey = np.asarray(cut, dtype=np.float64) / 255
    grey = grey[:, ::-1] if rng.random() < 0.5 else grey
    return cast(Picture, grey[..., None] * _STONE)


def _expose(picture: Picture, *, light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the camera makes of `picture`: light, focus, shot and read noise, 8 bits."""
    size = len(picture)
    across = np.linspace(-1, 1, size)
    distance2 = (across[:, None] ** 2 + across[None, :] ** 2) / 2
    lit = picture * (light.exposure * (1 - light.vignette * distance2))[..., None]
    lit = lit * np.array([1 + light.warmth, 1, 1 - light.warmth])
    sharp = ndimage.gaussian_filter(lit, (*([rng.uniform(0.45, 0.65)] * 2), 0))
    noise = rng.normal(size=sharp.shape) * np.sqrt(0.006**2 + 0.015**2 * np.clip(sharp, 0, 1))
    return cast(NDArray[np.uint8], np.clip(np.rint((sharp + noise) * 255), 0, 255).astype(np.uint8))


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=4)
