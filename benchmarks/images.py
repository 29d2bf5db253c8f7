"""Images of a folder, read when asked for: what the benchmarks of images share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from components.core.ports import Image
from components.ingest.layout import hidden
from components.models.parallel import each
from components.samples.images import IMAGE_SUFFIXES

NORMAL = "good"
"""The folder of test whose images are no anomalies."""


class Files:
    """Images of a list of files; a `Samples`, all of one label or each of its own."""

    def __init__(self, paths: Sequence[Path], *, anomalous: bool | Sequence[bool] = False) -> None:
        self._paths = list(paths)
        self.ids = [str(path) for path in paths]
        self.labels: NDArray[np.int8] = np.full(len(paths), anomalous, dtype=np.int8)

    def __len__(self) -> int:
        return len(self._paths)

    def take(self, indices: Sequence[int]) -> list[Image]:
        """The images at `indices`, in colour."""
        return each(_read, [self._paths[index] for index in indices])


def listed(root: Path) -> tuple[list[Path], dict[str, list[Path]]]:
    """Image files of train/good, and of each kind below test, at any depth; what is no image is left out."""
    kinds = {place.name: _pictures(place) for place in sorted((root / "test").iterdir()) if place.is_dir()}
    return _pictures(root / "train" / "good"), {kind: paths for kind, paths in kinds.items() if paths}


def of_kinds(kinds: Mapping[str, Sequence[Path]]) -> Files:
    """The images of `listed`'s kinds."""
    paths = [path for every in kinds.values() for path in every]
    return Files(paths, anomalous=[kind != NORMAL for kind, every in kinds.items() for _ in every])


def _pictures(place: Path) -> list[Path]:
    found = (path for path in place.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    return sorted(path for path in found if not hidden(path.relative_to(place).as_posix()))


def _read(path: Path) -> Image:
    return np.asarray(Pictures.open(path).convert("RGB"))
