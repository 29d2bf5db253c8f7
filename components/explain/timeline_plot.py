"""A window's Shapley values over time and sensors: cells in colour, blocks above them, sensors at their side."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.explain.pictures import new_figure, save_figure
from components.explain.plots import INK, LOWERS, RAISES, headline, plain, short
from components.explain.timeline import Timeline

_DIVERGING = "RdBu_r"


def timeline_plot(timeline: Timeline, *, window: int, title: str, path: Path) -> Path:
    """Draw one window of `timeline`.

    Args:
        timeline: Of N windows.
        window: Which of them.
        title: Above the plot.
        path: PNG file to write.
    """
    cells, blocks, names = timeline.cells[window].T, timeline.blocks[window], timeline.sensors[window]
    wide, high = 0.75 * max(len(blocks), 4), 0.34 * max(len(names), 4)
    figure = new_figure(wide + 4.8, high + 2.6)
    headline(figure, title)
    grid = figure.add_gridspec(2, 3, width_ratios=[wide, 1.8, 0.18], height_ratios=[1.1, high])
    main = figure.add_subplot(grid[1, 0])
    largest = float(np.abs(cells).max()) or 1.0
    drawn = main.imshow(cells, aspect="auto", cmap=_DIVERGING, vmin=-largest, vmax=largest)
    main.set_yticks(np.arange(len(names)), [short(name) for name in names], fontsize=9)
    main.set_xticks(np.arange(len(blocks)), [_rows(*ends) for ends in timeline.bounds], fontsize=8)
    main.set_xlabel("rows of the window", fontsize=9)
    main.tick_params(length=0)
    main.spines[:].set_visible(False)
    above = figure.add_subplot(grid[0, 0], sharex=main)
    above.bar(np.arange(len(blocks)), blocks, color=_colours(blocks), width=0.9)
    above.axhline(0, color=INK, linewidth=0.8)
    above.set_ylabel("by time", fontsize=9)
    above.tick_params(axis="x", labelbottom=False, length=0)
    _few_ticks(above.yaxis)
    above.spines[["top", "right", "bottom"]].set_visible(False)
    sums = cells.sum(axis=1)
    beside = figure.add_subplot(grid[1, 1], sharey=main)
    beside.barh(np.arange(len(names)), sums, color=_colours(sums), height=0.8)
    beside.axvline(0, color=INK, linewidth=0.8)
    beside.tick_params(axis="y", labelleft=False)
    _few_ticks(beside.xaxis)
    beside.set_xlabel("sum over time", fontsize=9)
    plain(beside)
    _bar(figure, drawn, figure.add_subplot(grid[1, 2]), largest)
    return save_figure(figure, path)


def _rows(start: int, end: int) -> str:
    return str(start) if end == start + 1 else f"{start}-{end - 1}"


def _colours(values: NDArray[np.float64]) -> list[str]:
    return [RAISES if value > 0 else LOWERS for value in values]


def _few_ticks(axis: Any) -> None:
    """Ticks that say their whole value; of small ones matplotlib would write a power of ten beside the axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_tick_params(labelsize=8)


def _bar(figure: Any, drawn: Any, axes: Any, largest: float) -> None:
    bar = figure.colorbar(drawn, cax=axes, ticks=[-largest, 0, largest])
    bar.ax.set_yticklabels([f"{-largest:.2g}", "0", f"{largest:+.2g}"], fontsize=8)
    bar.set_label("share of the score", fontsize=9)
    bar.outline.set_visible(False)
