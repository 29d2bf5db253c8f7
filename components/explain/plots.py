"""Pictures of Shapley values: one sample's bars, and all samples together."""

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.explain.pictures import new_figure, save_figure
from components.explain.shapley import TableExplanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 15
_LETTERS = 9
"""Letters of a headline that an inch holds."""
RAISES, LOWERS, INK = "#c0281c", "#2f6fb0", "#444444"


def bar_plot(explanation: TableExplanation, *, sample: int, title: str, path: Path) -> Path:
    """What each column adds to the score of one sample, the strongest first; the rest is summed in one bar.

    Args:
        explanation: Of N windows.
        sample: Which of them.
        title: Above the plot.
        path: PNG file to write.
    """
    values, holds = explanation.values[sample], explanation.shown[sample]
    order = np.argsort(-np.abs(values), kind="stable")
    shown, rest = order[:MOST_COLUMNS], order[MOST_COLUMNS:]
    lengths = [float(values[index]) for index in shown]
    names = [f"{short(explanation.features[index])} = {short(holds[index])}" for index in shown]
    if len(rest):
        lengths.append(float(values[rest].sum()))
        names.append(f"{len(rest)} other columns")
    figure = new_figure(8.0, 1.5 + 0.34 * len(lengths))
    axes = figure.add_subplot()
    places = np.arange(len(lengths))
    axes.barh(places, lengths, color=[RAISES if length > 0 else LOWERS for length in lengths], height=0.7)
    for place, length in zip(places, lengths, strict=True):
        side = "left" if length >= 0 else "right"
        axes.annotate(
            f"{length:+.3g}",
            (length, place),
            xytext=(4 if length >= 0 else -4, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(places, names, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.16)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(
        f"share of the score: {explanation.base:.3g} (normal) → {explanation.scores[sample]:.3g} (this sample)",
        fontsize=9,
    )
    headline(figure, title)
    plain(axes)
    return save_figure(figure, path)


def summary_plot(explanation: TableExplanation, *, title: str, path: Path) -> Path:
    """Shapley values of all samples, a row a column, a dot a sample, coloured by the column's own value (its rank).

    Args:
        explanation: Of N windows.
        title: Above the plot.
        path: PNG file to write.
    """
    order = np.argsort(-np.abs(explanation.values).mean(axis=0), kind="stable")[:MOST_COLUMNS]
    figure = new_figure(8.0, 1.6 + 0.42 * len(order))
    axes = figure.add_subplot()
    spread = float(np.ptp(explanation.values[:, order])) or 1.0
    dots: Any = None
    for row, index in enumerate(order):
        values, ranks = explanation.values[:, index], _ranks(explanation.means[:, index])
        heights = row + _swarm(values, width=spread / 90)
        unknown = np.isnan(ranks)
        axes.scatter(values[unknown], heights[unknown], s=14, color="#b0b0b0", linewidths=0)
        dots = axes.scatter(
            values[~unknown], heights[~unknown], s=14, c=ranks[~unknown], cmap="viridis", vmin=0, vmax=1, linewidths=0
        )
    axes.set_yticks(np.arange(len(order)), [short(explanation.features[index]) for index in order], fontsize=9)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
    axes.set_xlabel("share of the score; to the right: more anomalous", fontsize=9)
    headline(figure, title)
    plain(axes)
    bar = figure.colorbar(dots, ax=axes, fraction=0.03, pad=0.02, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=8)
    bar.set_label("value of the column", fontsize=8, labelpad=-12)
    bar.outline.set_visible(False)
    return save_figure(figure, path)


def _swarm(values: NDArray[np.float64], *, width: float) -> NDArray[np.float64]:
    """Heights within a row, so that dots of about the same value do not cover each other."""
    heights = np.zeros(len(values))
    bins = np.round(values / width).astype(np.int64)
    for found in np.unique(bins):
        members = np.flatnonzero(bins == found)
        steps = np.arange(len(members))
        heights[members] = np.where(steps % 2, 1, -1) * ((steps + 1) // 2)
    return heights * min(0.09, 0.4 / max(1.0, float(np.abs(heights).max())))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks in [0, 1], equal values alike, 0.5 where all are the same; NaN where the value is missing."""
    present = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    distinct, places = np.unique(values[present], return_inverse=True)
    ranks[present] = places / (len(distinct) - 1) if len(distinct) > 1 else 0.5
    return ranks


def headline(figure: "Figure", text: str) -> None:
    """`text` above the whole figure from its left edge, in as many lines as it takes."""
    figure.suptitle("\n".join(wrap(text, int(_LETTERS * figure.get_figwidth()))), x=0.01, ha="left", fontsize=11)


def plain(axes: Any) -> None:
    """Axes of horizontal bars or dots: no frame, vertical lines only."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)


def short(name: str) -> str:
    """A name or word, the middle of a long one left out, for both ends tell it apart; "$" would start a formula."""
    text = name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"
    return text.replace("$", r"\$")
