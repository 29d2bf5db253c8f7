"""PNG files: images, and matplotlib figures made without its global state."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from components.core.ports import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
LONGEST_SIDE = 640
_COMPRESSION = 3
"""Of zlib, 0 to 9: photographs become a twentieth larger than at its usual 6, in a third of the time."""


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of `width` by `height` inches that pyplot does not know of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write `figure` to the PNG file at `path`; the same figure gives the same bytes."""
    layout = figure.get_layout_engine()
    if layout is not None:
        # Once here: `savefig` draws everything once more where there is a layout, for its sake alone.
        layout.execute(figure)
        figure.set_layout_engine(None)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    path.write_bytes(stream.getvalue())
    return path


def save_image(image: Image, path: Path) -> Path:
    """Write ``(H, W, 3)`` to the PNG file at `path`."""
    from PIL import Image as Pillow

    Pillow.fromarray(np.ascontiguousarray(image)).save(path, format="PNG", compress_level=_COMPRESSION)
    return path


def shrink(image: Image) -> Image:
    """`image` ``(H, W, 3)``, at most `LONGEST_SIDE` pixels long."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Pillow.Resampling.LANCZOS)
    return np.asarray(picture)
