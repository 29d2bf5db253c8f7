"""What drift is measured on: optics of images, principal components of embeddings, statistics of windows."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Column, TableSchema
from components.core.ports import Image, Windows
from components.drift.window import ALARM_RATE, SCORE, Family

COMPONENTS = 16
_PIXELS = 65_536
"""Pixels that means and colours are taken from; more change them by less than a grey level."""
_ROW_PIXELS = 262_144
_FLOOR = 1 / 255

Floats = NDArray[np.float64]


def optics(images: Sequence[Image]) -> pd.DataFrame:
    """Simple optics of N images, one row each; they tell camera and light from what is seen.

    `brightness` and `contrast` are mean and deviation of luma in [0, 1], `sharpness` the natural logarithm of the
    variance of the Laplacian (Pech-Pacheco et al., 2000, "Diatom autofocusing in brightfield microscopy"), `saturation`
    the mean of (max - min) / max over the channels, `red balance` and `blue balance` the logarithm of the channel's
    mean over green's. Grey images have 0 in the last three. Large images are read at evenly spread pixels and rows.
    """
    return pd.DataFrame([_optics(image) for image in images], columns=list(OPTICS), dtype=np.float64)


OPTICS: dict[str, Family] = dict.fromkeys(
    ("brightness", "contrast", "sharpness", "saturation", "red balance", "blue balance"), "optics"
)


def _optics(image: Image) -> tuple[float, ...]:
    height, width = image.shape[:2]
    step = max(1, int(np.sqrt(height * width / _PIXELS)))
    channels = np.ascontiguousarray(image[::step, ::step].transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
    luma = _luma(channels)
    highest, lowest = channels.max(axis=0), channels.min(axis=0)
    saturation = np.divide(highest - lowest, highest, out=np.zeros_like(highest), where=highest > 0)
    red, green, blue = channels.mean(axis=(1, 2), dtype=np.float64) + _FLOOR
    return (
        float(luma.mean(dtype=np.float64)),
        float(luma.std(dtype=np.float64)),
        _sharpness(image),
        float(saturation.mean(dtype=np.float64)),
        float(np.log(red / green)),
        float(np.log(blue / green)),
    )


def _luma(channels: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """``(3, H, W)`` → ``(H, W)``, weights of Rec. ITU-R BT.601, section 2.5.1."""
    red, green, blue = channels
    luma: NDArray[np.float32] = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return luma


def _sharpness(image: Image) -> float:
    """At full resolution, since a coarser one hides blur; of a large image at evenly spread rows."""
    height, width = image.shape[:2]
    if min(height, width) < 3:
        return float(np.log(_FLOOR**2))
    step = max(1, height * width // _ROW_PIXELS)
    rows = np.arange(1, height - 1, step)
    if step == 1:
        luma = _luma(image.transpose(2, 0, 1))
        above, here, below = luma[:-2], luma[1:-1], luma[2:]
    else:
        above, here, below = (_luma(image[rows + shift].transpose(2, 0, 1)) for shift in (-1, 0, 1))
    laplacian = above[:, 1:-1] + below[:, 1:-1] + here[:, :-2] + here[:, 2:] - 4 * here[:, 1:-1]
    return float(np.log(laplacian.var(dtype=np.float64) / 255**2 + _FLOOR**2))


def embedding_features(
    reference: NDArray[np.floating], current: NDArray[np.floating]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """At most `COMPONENTS` principal components of both windows together, and how far each sample lies off them.

    The basis is that of the pooled samples on purpose: one of the reference alone fits its noise, the reference then
    varies more along it than any new sample, and the permutation null no longer holds (200 samples of
    1,280 numbers that did not change then say "drift"). A shift that is large enough to see is itself a component of
    the pool.

    Args:
        reference: ``(N, E)``.
        current: ``(M, E)``.

    Returns:
        ``(N, C + 1)`` and ``(M, C + 1)``: `embedding 1` to `embedding C`, then `embedding rest`, a length.
    """
    pooled = np.concatenate([reference, current]).astype(np.float64)
    pooled -= pooled.mean(axis=0)
    basis = _basis(pooled)
    scores = pooled @ basis
    rest = np.linalg.norm(pooled - scores @ basis.T, axis=1)
    names = [f"embedding {number + 1}" for number in range(basis.shape[1])]
    frame = pd.DataFrame(np.column_stack([scores, rest]), columns=[*names, "embedding rest"])
    return frame.iloc[: len(reference)], frame.iloc[len(reference) :].reset_index(drop=True)


def _basis(centred: Floats) -> Floats:
    """``(E, C)``: leading principal directions, from the smaller of the two Gram matrices; signs fixed."""
    rows, width = centred.shape
    wide = width > rows
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    kept = [index for index in np.argsort(-values)[:COMPONENTS] if values[index] > 1e-10 * values[-1]]
    basis = centred.T @ vectors[:, kept] / np.sqrt(values[kept]) if wide else vectors[:, kept]
    largest = np.abs(basis).argmax(axis=0)
    fixed: Floats = basis * np.sign(basis[largest, np.arange(len(kept))])
    return fixed


def table_features(values: Windows, schema: TableSchema) -> pd.DataFrame:
    """One row a window: what its columns hold, as numbers or categories.

    A numeric column gives its mean over the window, and for windows of more than one row also its deviation; a
    categorical one its most frequent category by name ("unseen" for one that the schema does not know). Every column
    gives its share of missing values too, so that a failing sensor is seen even where the others are measured.

    Args:
        values: ``(N, W, D)`` in the order of `schema.features`; categories as codes; NaN where missing.
        schema: Of the line.
    """
    columns: dict[str, object] = {}
    for index, column in enumerate(schema.features):
        cells = values[:, :, index]
        if column.kind == "categorical":
            columns[_free(column.name, columns)] = _most_frequent(cells, column)
        elif values.shape[1] == 1:
            columns[_free(column.name, columns)] = cells[:, 0].astype(np.float64)
        else:
            with warnings.catch_warnings():
                # A window without a value has no mean: NaN is the answer, not a mishap.
                warnings.simplefilter("ignore", category=RuntimeWarning)
                columns[_free(f"{column.name} mean", columns)] = np.nanmean(cells, axis=1)
                columns[_free(f"{column.name} std", columns)] = np.nanstd(cells, axis=1)
        columns[_free(f"{column.name} missing", columns)] = np.isnan(cells).mean(axis=1)
    return pd.DataFrame(columns, index=range(len(values)))


def _free(name: str, taken: dict[str, object]) -> str:
    while name in taken or name in (SCORE, ALARM_RATE):
        name += "'"
    return name


def _most_frequent(codes: Floats, column: Column) -> NDArray[np.object_]:
    """``(N,)`` names; None for a window without a value; of equally frequent ones the first of the schema."""
    known = len(column.categories)
    counts = np.array([(codes == code).sum(axis=1) for code in range(known)]).reshape(known, len(codes)).T
    present = np.isfinite(codes).sum(axis=1)
    unseen = present - counts.sum(axis=1)
    best = np.concatenate([counts, unseen[:, None]], axis=1).argmax(axis=1)
    names = np.array([*column.categories, "unseen", None], dtype=object)
    chosen: NDArray[np.object_] = names[np.where(present > 0, best, known + 1)]
    return chosen
