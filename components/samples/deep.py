"""Images of 16 bits a channel, scaled to 8 with a declared white level.

Pillow reads 16-bit grey as it is, but keeps only the upper byte of 16-bit colour: right for files that use all 16 bits,
wrong for a camera of 12 bits in a 16-bit file. There another reader gives the full values.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFile

_FULL = 65535


def is_deep(opened: ImageFile.ImageFile) -> bool:
    """Whether the file holds 16 bits a channel."""
    return opened.mode.startswith("I;16") or any(";16" in str(tile[3]) for tile in opened.tile)


def decode_deep(opened: ImageFile.ImageFile, data: bytes, *, white: int) -> NDArray[np.uint8] | None:
    """``(H, W, 3)`` with value `white` and above as 255; None where Pillow's 8 bits are all there is to know."""
    if opened.mode.startswith("I;16"):
        return _grey(opened, white)
    if white == _FULL:
        return None
    values = _png_values(data) if opened.format == "PNG" else _tiff_values(data)
    if values.ndim == 2:
        values = values[:, :, None]
    colour = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, :1].repeat(3, axis=2)
    return _scaled(colour, white)


def _grey(opened: Pillow.Image, white: int) -> NDArray[np.uint8]:
    grey = _scaled(np.asarray(opened).astype(np.uint16), white)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _scaled(values: NDArray[np.uint16], white: int) -> NDArray[np.uint8]:
    # A table of 65,536 answers instead of floats of every pixel: a quarter of the memory.
    table = np.minimum(np.rint(np.arange(_FULL + 1) * (255.0 / white)), 255).astype(np.uint8)
    scaled: NDArray[np.uint8] = table[values]
    return scaled


def _png_values(data: bytes) -> NDArray[np.uint16]:
    import torch
    from torchvision.io import ImageReadMode, decode_image

    decoded = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.UNCHANGED)
    values: NDArray[np.uint16] = decoded.numpy().transpose(1, 2, 0)
    return values


def _tiff_values(data: bytes) -> NDArray[np.uint16]:
    import tifffile

    values = np.asarray(tifffile.imread(io.BytesIO(data), key=0))
    if values.dtype != np.uint16 or values.ndim not in {2, 3}:
        raise ValueError(f"a TIFF page of {values.dtype} and shape {values.shape} is not read")
    # Planar files hold their channels first.
    return values.transpose(1, 2, 0) if values.ndim == 3 and values.shape[0] <= 4 < values.shape[2] else values
