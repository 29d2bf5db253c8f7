"""Bytes of an image file become ``(H, W, 3)`` RGB; whatever cannot be one is refused with a reason.

The header is read and the size judged before a single pixel is decoded, so that a small file cannot claim all memory.
Pillow's own readers are called by the file's magic bytes and not by its name: a name proves nothing.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL import Image as Pillow

from ..core.errors import first_line
from ..core.lines import ImageOptions
from ..core.ports import Image
from .deep import decode_deep, is_deep
from .unusable import UnusableSample

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
_READERS: tuple[tuple[bytes, Callable[[io.BytesIO], ImageFile.ImageFile]], ...] = (
    (_PNG, PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II*\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00*", TiffImagePlugin.TiffImageFile),
)
# What Pillow's readers raise on damaged files (seen by flipping and cutting bytes of all four formats).
_DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip


def decode_image(data: bytes, options: ImageOptions) -> Image:
    """The image that `data` holds: 8-bit RGB, alpha dropped, turned as its EXIF orientation says.

    16-bit values are scaled so that `options.white_level` (0: 65535) becomes 255.

    Raises:
        UnusableSample: `empty`, `not-an-image`, `truncated`, `damaged`, `too-large`, `too-small` or `unsupported`.
    """
    opened = _open(data)
    _check_size(opened, options)
    try:
        deep = is_deep(opened)
        if deep and opened.mode == "CMYK":
            raise UnusableSample("unsupported", "It is CMYK with 16 bits a channel; grey and RGB are read.")
        pixels = decode_deep(opened, data, white=options.white_level or 65535) if deep else None
        # A TIFF is turned, and says so no more, as soon as Pillow has loaded it; a PNG may say it behind its pixels.
        unturned = opened.getexif().get(_ORIENTATION, 1)
        opened.load()
        turn = opened.getexif().get(_ORIENTATION, 1 if pixels is None else unturned)
        if pixels is None:
            pixels = np.asarray(_in_rgb(opened))
        return np.ascontiguousarray(_turned(pixels, turn))
    except _DAMAGE as error:
        raise _refusal(error) from error


def is_deep_image(data: bytes) -> bool:
    """Whether the file holds 16 bits a channel, of which `decode_image` leaves 8.

    Raises:
        UnusableSample: As `decode_image`, by the header alone.
    """
    return is_deep(_open(data))


def decode_mask(data: bytes, options: ImageOptions) -> NDArray[np.bool_]:
    """``(H, W)`` ground truth: true where the mask is set.

    Any value above 0 counts, except in JPEG, whose noise around 0 is cut at half of full scale.

    Raises:
        UnusableSample: As `decode_image`.
    """
    limit = 127 if data.startswith(b"\xff\xd8\xff") else 0
    # Classes of 16 bits may be numbered from 1: scaled by the white level of the images, they would be 0.
    counting = options.model_copy(update={"white_level": 1})
    mask: NDArray[np.bool_] = decode_image(data, counting).max(axis=2) > limit
    return mask


def _open(data: bytes) -> ImageFile.ImageFile:
    if not data:
        raise UnusableSample("empty", "The file has no bytes.")
    reader = next((reader for magic, reader in _READERS if data.startswith(magic)), None)
    if reader is None:
        raise UnusableSample("not-an-image", f"It begins with {data[:8]!r}, which is no PNG, JPEG, BMP or TIFF.")
    if data.startswith(_PNG):
        _check_png(data)
    try:
        return reader(io.BytesIO(data))
    except _DAMAGE as error:
        raise _refusal(error) from error


def _check_png(data: bytes) -> None:
    """Compare the checksum of every chunk: Pillow decodes many PNG files with flipped bits in silence."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + length
        if end > len(data):
            break
        kind = data[place + 4 : place + 8]
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnusableSample("damaged", f"The checksum of its {kind!r} chunk at byte {place} is wrong.")
        if kind == b"IEND":
            return
        place = end
    raise UnusableSample("truncated", f"The PNG file ends after {len(data)} bytes, without its end mark.")


def _check_size(opened: ImageFile.ImageFile, options: ImageOptions) -> None:
    width, height = opened.size
    if width * height > options.max_pixels:
        raise UnusableSample(
            "too-large", f"{width} x {height} pixels are more than the {options.max_pixels} that the line allows."
        )
    if min(width, height) < options.min_side:
        raise UnusableSample(
            "too-small", f"{width} x {height} pixels; the shorter side must have at least {options.min_side}."
        )


def _in_rgb(opened: Pillow.Image) -> Pillow.Image:
    if opened.mode in {"I", "F"}:
        raise UnusableSample("unsupported", f"Pixels are stored as mode {opened.mode!r}; 8 and 16 bit are read.")
    if opened.mode == "RGB":
        return opened
    # A palette with transparency goes through RGBA, otherwise Pillow mixes the transparent colour in.
    middle = opened.convert("RGBA") if opened.mode in {"P", "PA"} else opened
    return middle.convert("RGB")


def _turned(pixels: NDArray[np.uint8], orientation: object) -> NDArray[np.uint8]:
    if orientation not in range(2, 9):
        return pixels
    exif = Pillow.Exif()
    exif[_ORIENTATION] = orientation
    shell = Pillow.fromarray(pixels)
    shell.info["exif"] = exif.tobytes()
    return np.asarray(ImageOps.exif_transpose(shell))


def _refusal(error: BaseException) -> UnusableSample:
    if isinstance(error, UnusableSample):
        return error
    said = first_line(error)
    short = isinstance(error, EOFError) or any(word in said.lower() for word in ("truncated", "not enough", "end of"))
    bomb = "too large" in said.lower()
    return UnusableSample("truncated" if short else "too-large" if bomb else "damaged", f"It does not decode: {said}.")
