"""Images: every readable kind becomes the same pixels; every hostile one is refused with its reason."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from components.core.lines import ImageOptions
from components.samples.fingerprint import NEAR, fingerprint
from components.samples.images import decode_image, decode_mask
from components.samples.unusable import UnusableSample

OPTIONS = ImageOptions()


def encoded(image: Pillow.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 4, columns * 3, rows + columns], axis=2).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(values: np.ndarray) -> bytes:
    """A 16-bit PNG written by hand: Pillow cannot write colour ones."""
    height, width, channels = values.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_kinds_give_the_same_pixels(kind: str) -> None:
    assert np.array_equal(decode_image(encoded(Pillow.fromarray(picture()), kind), OPTIONS), picture())


def test_jpeg_is_close() -> None:
    found = decode_image(encoded(Pillow.fromarray(picture()), "JPEG", quality=95), OPTIONS)
    assert np.abs(found.astype(int) - picture()).mean() < 4


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Pillow.fromarray(picture()).convert(mode)
    found = decode_image(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), OPTIONS)
    assert found.shape == (48, 64, 3)
    assert found.dtype == np.uint8
    if mode in {"L", "LA", "1"}:
        assert np.array_equal(found[..., 0], found[..., 2])


def test_alpha_is_dropped_not_blended() -> None:
    clear = np.dstack([picture(), np.zeros((48, 64), np.uint8)])
    assert np.array_equal(decode_image(encoded(Pillow.fromarray(clear)), OPTIONS), picture())


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_by_the_white_level(kind: str) -> None:
    data = encoded(Pillow.fromarray(np.full((40, 40), 2048, np.uint16)), kind)
    assert decode_image(data, OPTIONS).max() == 8  # 2048 / 65535 * 255
    assert decode_image(data, ImageOptions(white_level=4095)).min() == 128  # 2048 / 4095 * 255
    assert decode_image(data, ImageOptions(white_level=2000)).min() == 255


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bit_colour_png_is_scaled_by_the_white_level(channels: int) -> None:
    data = png16(np.full((40, 40, channels), 2048, np.uint16))
    assert decode_image(data, OPTIONS).max() == 8
    assert np.unique(decode_image(data, ImageOptions(white_level=4095))).tolist() == [128]


def test_sixteen_bit_colour_tiff_is_scaled_by_the_white_level() -> None:
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.full((40, 50, 3), 2048, np.uint16), photometric="rgb")
    assert decode_image(stream.getvalue(), ImageOptions(white_level=4095)).shape == (40, 50, 3)
    assert decode_image(stream.getvalue(), ImageOptions(white_level=4095)).max() == 128


@pytest.mark.parametrize("white", [0, 4095])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sixteen_bit_tiff_is_turned_once(channels: int, white: int) -> None:
    import tifffile

    stream = io.BytesIO()
    values = np.full((40, 60, channels), 2048, np.uint16)
    values[:10] = 4095
    turned = [(274, "H", 1, 6, True)]  # a quarter to the right
    kind = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(stream, values.squeeze(), photometric=kind, extratags=turned)
    found = decode_image(stream.getvalue(), ImageOptions(white_level=white))
    assert found.shape == (60, 40, 3)
    assert (found[:, -10:] > found[:, :1]).all()


def test_sixteen_bit_cmyk_is_refused() -> None:
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((40, 60, 4), np.uint16), photometric="separated")
    with pytest.raises(UnusableSample, match="CMYK with 16 bits"):
        decode_image(stream.getvalue(), OPTIONS)


def test_exif_orientation_is_applied() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    data = encoded(Pillow.fromarray(picture()), "PNG", exif=exif.tobytes())
    assert np.array_equal(decode_image(data, OPTIONS), np.rot90(picture(), -1))


REASONS = {
    "nothing": "empty",
    "text": "not-an-image",
    "html": "not-an-image",
    "gif": "not-an-image",
    "half a png": "truncated",
    "png without its end": "truncated",
    "png of its magic alone": "truncated",
    "flipped bit": "damaged",
    "half a jpeg": "truncated",
    "half a bmp": "truncated",
    "bomb": "too-large",
    "late text bomb": "too-large",
    "early text bomb": "too-large",
    "tiny": "too-small",
    "float tiff": "unsupported",
}


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    good = encoded(Pillow.fromarray(picture()))
    jpeg = encoded(Pillow.fromarray(picture(200, 200)), "JPEG")
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0))
    bomb += chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 80_000_000))
    return {
        "nothing": b"",
        "text": b"this is no picture",
        "html": b"<html></html>",
        "gif": encoded(Pillow.fromarray(picture()[..., 0]), "GIF"),
        "half a png": good[: len(good) // 2],
        "png without its end": good[:-12],
        "png of its magic alone": good[:8],
        "flipped bit": bytes(flipped),
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "half a bmp": encoded(Pillow.fromarray(picture()), "BMP")[:3000],
        "bomb": bomb,
        "late text bomb": good[:-12] + text + good[-12:],
        "early text bomb": good[:33] + text + good[33:],
        "tiny": encoded(Pillow.fromarray(picture(8, 200))),
        "float tiff": encoded(Pillow.fromarray(np.zeros((40, 40), np.float32)), "TIFF"),
    }


@pytest.mark.parametrize(("name", "reason"), REASONS.items(), ids=REASONS)
def test_hostile_files_are_refused_with_their_reason(name: str, reason: str, hostile: dict[str, bytes]) -> None:
    with pytest.raises(UnusableSample) as refused:
        decode_image(hostile[name], OPTIONS)
    assert refused.value.reason == reason
    assert refused.value.detail


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow says what it thinks of damaged tags
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_damaged_files_never_raise_anything_else(kind: str) -> None:
    data = encoded(Pillow.fromarray(picture()), kind)
    draw = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in draw.integers(0, len(data), 3):
            broken[place] = draw.integers(0, 256)
        cut = bytes(broken[: draw.integers(1, len(data))]) if draw.random() < 0.5 else bytes(broken)
        with contextlib.suppress(UnusableSample):
            assert decode_image(cut, ImageOptions(max_pixels=1_000_000)).ndim == 3


def test_mask_is_what_is_above_zero_and_half_for_jpeg() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 1
    assert decode_mask(encoded(Pillow.fromarray(mask)), OPTIONS).sum() == 64 * 32
    for kind in ("PNG", "TIFF"):
        assert decode_mask(encoded(Pillow.fromarray(mask.astype(np.uint16)), kind), OPTIONS).sum() == 64 * 32
    assert decode_mask(encoded(Pillow.fromarray(mask * 255), "JPEG"), OPTIONS).sum() == 64 * 32
    assert decode_mask(encoded(Pillow.fromarray(mask * 20), "JPEG"), OPTIONS).sum() == 0


def distance(first: np.ndarray, second: np.ndarray) -> float:
    a, b = (np.frombuffer(fingerprint(image), np.uint8).astype(float) for image in (first, second))
    return float(np.sqrt(((a - b) ** 2).mean()))


def test_fingerprints_of_copies_are_near() -> None:
    image = picture(200, 160)
    shape = Pillow.fromarray(image)
    copy = decode_image(encoded(shape, "JPEG", quality=60), OPTIONS)
    half = np.asarray(shape.resize((80, 100)))
    assert max(distance(image, copy), distance(image, half)) < NEAR
    assert distance(image, np.roll(image, 20, axis=1)) > 3 * NEAR
