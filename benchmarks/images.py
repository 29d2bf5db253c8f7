"""Images of a folder, read when asked for: what the benchmarks of images share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from components.core.ports import Image
from components.models.parallel import each


class Files:
    """Images of a list of files; a `Samples`, in which what does not lie in a folder `good` is anomalous."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self.ids = [str(path) for path in paths]
        self.labels: NDArray[np.int8] = np.array([path.parent.name != "good" for path in paths], dtype=np.int8)

    def __len__(self) -> int:
        return len(self._paths)

    def take(self, indices: Sequence[int]) -> list[Image]:
        """The images at `indices`, in colour."""
        return each(_read, [self._paths[index] for index in indices])


def _read(path: Path) -> Image:
    return np.asarray(Pictures.open(path).convert("RGB"))
