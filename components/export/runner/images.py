"""Images as an exported network takes them: what `components.samples.images` and `components.models.images` do."""

import io
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

# What Pillow raises on damaged files beside OSError and ValueError.
_DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError, SyntaxError, TypeError,
    struct.error, zlib.error,
)  # fmt: skip


def samples(data: bytes, spec: dict[str, Any]) -> Iterator[tuple[list[dict[str, int]], Any]]:
    """The one sample in an image file: no place in it, and the network's inputs."""
    yield [{}], pixels(data, spec)


def pixels(data: bytes, spec: dict[str, Any]) -> dict[str, Any]:
    """``(1, H, W, 3)`` of uint8 by input: RGB, upright as EXIF says, 16 bits scaled by the white level, resized."""
    opened, white = _opened(data), spec["preparation"]["white_level"]
    least, most = (spec["preparation"].get(name, usual) for name, usual in (("min_side", 1), ("max_pixels", math.inf)))
    if opened.width * opened.height > most or min(opened.size) < least:
        raise ValueError(f"{opened.width} x {opened.height} pixels: no side below {least}, {most} in all at most")
    deep = any(";16" in str(tile[3]) for tile in opened.tile) and not opened.mode.startswith("I;16")
    if opened.mode in {"I", "F"} or (deep and (white != 65535 or opened.mode == "CMYK")):
        raise ValueError(f"pixels of mode {opened.mode} are not read; save the image with 8 bits a channel")
    try:
        image: Image.Image = ImageOps.exif_transpose(opened)
    except _DAMAGE as error:
        raise ValueError(f"it does not decode: {error}") from error
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.minimum(np.rint(np.asarray(image) * (255.0 / white)), 255).astype(np.uint8))
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")
    low, high = spec["preparation"].get("aspect", (0.0, math.inf))
    if not low <= image.width / image.height <= high:
        raise ValueError(f"{image.width} x {image.height} pixels are not of the aspect {low:.2f} to {high:.2f} learned")
    plain, sizes = image.convert("RGB"), spec["preparation"]["sizes"]
    return {name: np.asarray(plain.resize((w, h), Image.Resampling.BILINEAR))[None] for name, (h, w) in sizes.items()}


def _opened(data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "TIFF"))
    except UnidentifiedImageError as error:
        raise ValueError("it is no PNG, JPEG, BMP or TIFF image") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"it is too large: {error}") from error
