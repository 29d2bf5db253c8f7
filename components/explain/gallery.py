"""A folder of heat-map pictures with their data, an index, and a sheet that shows them together."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.core.ports import Image
from components.explain.overlays import Map, Scale, overlay
from components.explain.pictures import new_figure, save_figure, save_image
from components.explain.selection import Chosen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_SIDE = 640
_COLOURS = {"OK": "#1a7f37", "NG": "#c0281c", "unsure": "#9a6700"}
_HEADINGS = {"anomalous": "highest scores", "uncertain": "closest to the threshold", "normal": "normal, for comparison"}


def write_overlays(
    images: Sequence[Image],
    *,
    maps: Map,
    chosen: Sequence[Chosen],
    ids: Sequence[str],
    titles: Sequence[str],
    labels: Sequence[str],
    scale: Scale,
    directory: Path,
) -> None:
    """Write `<reason>-<n>.png`, `maps.npy`, `index.json` and `sheet.png` for K samples.

    Args:
        images: K images ``(H, W, 3)``, each of its own size.
        maps: ``(K, h, w)`` in their order; written unchanged to `maps.npy`.
        chosen: Why each was chosen, its score and verdict.
        ids: K sample names.
        titles: K names for people, such as paths.
        labels: K words: what is known of each.
        scale: Colours of all of them.
        directory: Existing folder.
    """
    entries: list[dict[str, Any]] = []
    pairs: list[tuple[Image, Image]] = []
    counts: dict[str, int] = {}
    for number, (image, item) in enumerate(zip(images, chosen, strict=True)):
        counts[item.reason] = counts.get(item.reason, 0) + 1
        small = _shrink(image)
        heat = overlay(small, maps[number], low=scale.low, high=scale.high, outline=scale.threshold)
        name = f"{item.reason}-{counts[item.reason]}.png"
        save_image(np.concatenate([small, heat], axis=1), directory / name)
        pairs.append((small, heat))
        entries.append(
            {
                "picture": name,
                "map": number,
                "sample": ids[number],
                "path": titles[number],
                "reason": item.reason,
                "score": item.score,
                "verdict": item.verdict,
                "label": labels[number],
            }
        )
    np.save(directory / "maps.npy", np.asarray(maps, dtype=np.float32), allow_pickle=False)
    colours = {"low": scale.low, "threshold": scale.threshold, "high": scale.high}
    index = json.dumps({"colours": colours, "samples": entries}, indent=1, ensure_ascii=False)
    (directory / "index.json").write_text(index + "\n", encoding="utf-8")
    save_figure(_sheet(pairs, entries, scale), directory / "sheet.png")


def _shrink(image: Image) -> Image:
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Pillow.Resampling.LANCZOS)
    return np.asarray(picture)


def _sheet(pairs: Sequence[tuple[Image, Image]], entries: Sequence[dict[str, Any]], scale: Scale) -> "Figure":
    """Rows of image and overlay, a row a reason, and the colour scale below."""
    reasons = [reason for reason in _HEADINGS if any(entry["reason"] == reason for entry in entries)]
    members = {reason: [i for i, entry in enumerate(entries) if entry["reason"] == reason] for reason in reasons}
    columns = max(len(found) for found in members.values())
    tallest = max(image.shape[0] / (2 * image.shape[1]) for image, _ in pairs)
    panel = max(3.4, 13.6 / columns)
    panel = min(panel, 4.4)
    figure = new_figure(panel * columns, (panel * tallest + 0.75) * len(reasons) + 0.8)
    grid = figure.add_gridspec(len(reasons) + 1, columns, height_ratios=[1.0] * len(reasons) + [0.05])
    for row, reason in enumerate(reasons):
        for column in range(columns):
            axes = figure.add_subplot(grid[row, column])
            axes.axis("off")
            if column == 0:
                axes.text(0, 1.22, _HEADINGS[reason], transform=axes.transAxes, fontsize=11, fontweight="bold")
            if column < len(members[reason]):
                place = members[reason][column]
                axes.imshow(np.concatenate(pairs[place], axis=1), aspect="equal")
                _title(axes, entries[place])
    _bar(figure, grid[len(reasons), :], scale)
    return figure


def _title(axes: Any, entry: dict[str, Any]) -> None:
    text = f"{entry['verdict']}  {entry['score']:.3g}   ({entry['label']})"
    axes.set_title(text, fontsize=9, loc="left", color=_COLOURS[entry["verdict"]], pad=3)


def _bar(figure: "Figure", place: Any, scale: Scale) -> None:
    from matplotlib import colormaps

    axes = figure.add_subplot(place)
    steps = np.linspace(0, 1, 256)
    axes.imshow(
        colormaps["inferno"](0.2 + 0.8 * steps)[None, :, :3], aspect="auto", extent=(scale.low, scale.high, 0, 1)
    )
    axes.axvline(scale.threshold, color="#00e5ff", linewidth=2)
    axes.set_yticks([])
    axes.set_xticks([scale.low, scale.threshold, scale.high])
    axes.set_xticklabels(
        [f"{scale.low:.3g}: clear", f"{scale.threshold:.3g}: threshold (outlined)", f"{scale.high:.3g}"]
    )
    axes.tick_params(labelsize=8)
