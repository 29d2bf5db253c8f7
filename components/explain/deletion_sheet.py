"""A sheet of deletion tests: each image, its marked region filled, a random region filled, with the scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.core.ports import Image
from components.explain.deletion import Deletion
from components.explain.pictures import new_figure, save_figure

COLUMNS = 6
_PANEL, _SHAPES = 2.3, (0.4, 1.6)
"""Inches a picture is wide; least and most height over width of its place."""
_ROWS = ("image, marked region outlined", "marked region filled", "random region filled")


def write_sheet(images: Sequence[Image], found: Sequence[Deletion], *, title: str, path: Path) -> Path:
    """Draw the first `COLUMNS` of the tests, one a column, to the PNG file at `path`.

    Args:
        images: Each image with its overlay, as small as the pictures of its test.
        found: Its test.
        title: Above the sheet.
        path: PNG file to write.
    """
    shown = list(zip(images, found, strict=True))[:COLUMNS]
    shape = float(np.clip(max(image.shape[0] / image.shape[1] for image, _ in shown), *_SHAPES))
    figure = new_figure(_PANEL * len(shown) + 0.6, 3 * (_PANEL * shape + 0.35) + 0.5)
    grid = figure.subplots(3, len(shown), squeeze=False)
    for column, (image, one) in enumerate(shown):
        pictures = (image, *one.pictures)
        scores = (one.score, one.marked, one.random[0])
        for axes, picture, score in zip(grid[:, column], pictures, scores, strict=True):
            axes.imshow(picture)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            axes.set_title(f"score {score:.3g}", fontsize=9, loc="left", pad=3)
    for axes, text in zip(grid[:, 0], _ROWS, strict=True):
        axes.set_ylabel(text, fontsize=9)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return save_figure(figure, path)
