"""A CSV beside the images that says what each one is: `path,label[,defect][,group][,split]`."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import pandas as pd

from components.core.contracts import Label, Split
from components.core.errors import SourceError
from components.ingest.layout import Place
from components.samples.labels import label_of_word, split_of_word
from components.samples.tables import read_table
from components.samples.unusable import UnusableSample

_NAMES = {
    "path": ("path", "file", "filename", "file_name", "image", "image_path", "img"),
    "label": ("label", "class", "anomaly", "is_anomaly", "target", "y", "status"),
    "defect": ("defect", "defect_type", "kind", "type"),
    "group": ("group", "part", "batch", "lot"),
    "split": ("split", "subset", "set"),
}


def read_labels(data: bytes, *, key: str, images: Sequence[str]) -> tuple[dict[str, Place], list[str]]:
    """(image key → its place, paths of the CSV that no image has). `key` names the CSV, for relative paths and errors.

    Raises:
        SourceError: It is no table, has no path or label column, or names one image twice with different answers.
    """
    try:
        frame = read_table(data)
    except UnusableSample as refused:
        raise SourceError(f"Labels file {key!r}: {refused.detail}", hint="Correct the file.") from refused
    columns = {role: _column(frame, names) for role, names in _NAMES.items()}
    for role in ("path", "label"):
        if not columns[role]:
            raise SourceError(
                f"Labels file {key!r} has no {role} column, only {', '.join(map(str, frame.columns))}.",
                hint="It needs: path,label[,defect][,group][,split].",
            )
    text = {
        role: frame[name].astype("string").fillna("").str.strip().tolist() for role, name in columns.items() if name
    }
    finder = _Finder(key, images)
    places: dict[str, Place] = {}
    missing: list[str] = []
    for row, path in enumerate(text["path"]):
        image = finder.find(path)
        if image is None:
            missing.append(path)
            continue
        place = _place({role: cells[row] for role, cells in text.items()}, key=key)
        if places.setdefault(image, place) != place:
            raise SourceError(f"Labels file {key!r} names {path!r} twice, differently.", hint="Keep one of the rows.")
    return places, missing


def _place(cells: dict[str, str], *, key: str) -> Place:
    label = label_of_word(cells["label"])
    if not cells["label"]:
        raise SourceError(f"Labels file {key!r} has no label for {cells['path']!r}.", hint="Write normal or anomalous.")
    # A word that is no label is the name of a defect: people write "scratch" where we would write "anomalous".
    defect = cells.get("defect", "") or ("" if label else cells["label"])
    label = label or Label.ANOMALOUS
    word = cells.get("split", "")
    split = split_of_word(word)
    if word and split is None:
        raise SourceError(
            f"Labels file {key!r}: split {word!r} of {cells['path']!r} is not known.",
            hint="Use train, calibration, validation or test, or leave it empty.",
        )
    problem = ""
    if label is Label.ANOMALOUS and split is Split.CALIBRATION:
        problem = f"An anomalous image cannot be in split {split}: thresholds come from normal ones."
    return Place(
        label=label, label_source="labels-file", defect=defect if label is Label.ANOMALOUS else "", split=split,
        group=cells.get("group", ""), problem=problem,
    )  # fmt: skip


def _column(frame: pd.DataFrame, names: Sequence[str]) -> str:
    plain = {str(column).strip().lower(): str(column) for column in frame.columns}
    return next((plain[name] for name in names if name in plain), "")


class _Finder:
    """Finds the image that a path of the CSV means: from the root, from the CSV's folder, or by a unique name."""

    def __init__(self, key: str, images: Sequence[str]) -> None:
        self._folder = PurePosixPath(key).parent
        self._images = set(images)
        self._by_name: dict[str, list[str]] = {}
        for image in images:
            self._by_name.setdefault(PurePosixPath(image).name, []).append(image)

    def find(self, path: str) -> str | None:
        plain = path.replace("\\", "/").removeprefix("./")
        for image in (plain, (self._folder / plain).as_posix()):
            if image in self._images:
                return image
        named = self._by_name.get(PurePosixPath(plain).name, [])
        return named[0] if len(named) == 1 and "/" not in plain else None
