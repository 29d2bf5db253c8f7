"""A folder of heat-map pictures with their data, an index, and a sheet that shows them together."""

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.core.ports import Image
from components.explain.overlays import COLDEST, Map, Scale, overlay
from components.explain.pictures import new_figure, save_figure, save_image, shrink
from components.explain.selection import Chosen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"OK": "#1a7f37", "NG": "#c0281c", "unsure": "#9a6700"}
_PANEL, _BOX, _GAP, _SHAPES = 3.4, 320, 6, (0.4, 1.25)
"""Inches of a panel of two pictures; pixels of one picture's box, between two; least and most height over width."""
_HEADINGS = {
    "anomalous": "highest scores",
    "uncertain": "least clear of the threshold",
    "normal": "normal, for comparison",
}


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
        small = shrink(image)
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


def _sheet(pairs: Sequence[tuple[Image, Image]], entries: Sequence[dict[str, Any]], scale: Scale) -> "Figure":
    """Rows of image and overlay, a row a reason, and the colour scale below."""
    members = {reason: [i for i, entry in enumerate(entries) if entry["reason"] == reason] for reason in _HEADINGS}
    rows = [reason for reason, found in members.items() if found]
    columns = max(3, *(len(found) for found in members.values()))
    shape = float(np.clip(max(image.shape[0] / image.shape[1] for image, _ in pairs), *_SHAPES))
    height = _PANEL * shape / 2 + 0.75
    figure = new_figure(_PANEL * columns, height * len(rows) + 0.6)
    parts = np.asarray(figure.subfigures(len(rows) + 1, 1, height_ratios=[*[height] * len(rows), 0.6]))
    for part, reason in zip(parts, rows, strict=False):
        part.suptitle(_HEADINGS[reason], x=0.005, ha="left", fontsize=11, fontweight="bold")
        for axes, place in zip_longest(part.subplots(1, columns, squeeze=False)[0], members[reason]):
            axes.axis("off")
            if place is not None:
                axes.imshow(_side_by_side(pairs[place], shape))
                _title(axes, entries[place])
    _bar(parts[-1], scale)
    return figure


def _side_by_side(pair: tuple[Image, Image], shape: float) -> Image:
    """Both pictures in boxes of one size, so that wide and tall samples make an even row."""
    from PIL import Image as Pillow

    box = (_BOX, round(_BOX * shape))
    ground = Pillow.new("RGB", (2 * _BOX + _GAP, box[1]), "white")
    for left, image in zip((0, _BOX + _GAP), pair, strict=True):
        picture = Pillow.fromarray(np.ascontiguousarray(image))
        ratio = min(box[0] / picture.width, box[1] / picture.height)
        size = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
        place = left + (box[0] - size[0]) // 2, (box[1] - size[1]) // 2
        ground.paste(picture.resize(size, Pillow.Resampling.LANCZOS), place)
    return np.asarray(ground)


def _title(axes: Any, entry: dict[str, Any]) -> None:
    text = f"{entry['verdict']}  {entry['score']:.3g}   ({entry['label']})"
    axes.set_title(text, fontsize=9, loc="left", color=_COLOURS[entry["verdict"]], pad=3)


def _bar(part: Any, scale: Scale) -> None:
    from matplotlib import colormaps

    axes = part.subplots()
    colours = colormaps["inferno"](COLDEST + (1 - COLDEST) * np.linspace(0, 1, 256))[None, :, :3]
    axes.imshow(colours, aspect="auto", extent=(scale.low, scale.high, 0, 1))
    axes.axvline(scale.threshold, color="#00e5ff", linewidth=2)
    axes.set_yticks([])
    axes.set_xticks(
        [scale.low, scale.threshold, scale.high],
        [
            f"{scale.low:.3g} and less: clear",
            f"{scale.threshold:.3g}: threshold, outlined",
            f"{scale.high:.3g} and more",
        ],
        fontsize=8,
    )
    for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
