"""What the detectors of tables share: which training windows they take, and where a score comes from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.contracts import TableSchema
from ..core.errors import ModelError
from ..core.ports import Samples, Windows
from ..core.seeds import generator


class Training(NamedTuple):
    """Windows ``(N, W, D)``, their labels ``(N,)``, and how many of them hold one row, at least 1.

    Where windows overlap, so many of them tell little more than one.
    """

    windows: Windows
    labels: NDArray[np.int8]
    overlap: float


def training_windows(samples: Samples, *, schema: TableSchema, limit: int, seed: int) -> Training:
    """What a detector learns from; where there are more samples than `limit`, drawn evenly by `seed`.

    Raises:
        ModelError: There is no normal sample, or a single one.
    """
    labels = np.asarray(samples.labels)
    normal = int((labels == 0).sum())
    if normal < 2:
        found = "no normal sample" if normal == 0 else "one normal sample"
        raise ModelError(f"There is {found} among {len(labels)}.", hint="Add normal samples.")
    chosen = np.arange(len(labels))
    if len(chosen) > limit:
        chosen = np.sort(generator(seed, "sample").choice(chosen, limit, replace=False))
    windows = samples.take([int(index) for index in chosen])
    assert isinstance(windows, np.ndarray)
    overlap = schema.window / schema.stride * len(chosen) / len(labels)
    return Training(windows, labels[chosen], overlap=max(1.0, overlap))


def occlusion(
    score: Callable[[Windows], NDArray[np.float64]], windows: Windows, *, usual: tuple[float, ...]
) -> NDArray[np.float32]:
    """``(N, W, D)``: by how much `score` falls when a column takes its `usual` value, shared over its rows."""
    full = score(windows)
    shares = np.zeros(windows.shape, dtype=np.float32)
    for place, value in enumerate(usual):
        changed = windows.copy()
        changed[:, :, place] = value
        shares[:, :, place] = ((full - score(changed)) / windows.shape[1])[:, None]
    return shares
