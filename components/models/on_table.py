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
    """What a detector learns from; where there are more samples than `limit`, drawn by `seed`.

    Normal ones evenly, and anomalous ones too, but for these a tenth of the limit is kept if there are as many: labels
    are few, and of a million rows an even draw would leave hardly one.

    Raises:
        ModelError: There is no normal sample, or a single one.
    """
    labels = np.asarray(samples.labels)
    normal = int((labels == 0).sum())
    if normal < 2:
        found = "no normal sample" if normal == 0 else "one normal sample"
        raise ModelError(f"There is {found} among {len(labels)}.", hint="Add normal samples.")
    chosen = _drawn(labels, limit=limit, seed=seed)
    windows = samples.take([int(index) for index in chosen])
    assert isinstance(windows, np.ndarray)
    overlap = schema.overlap * (labels[chosen] == 0).sum() / normal
    return Training(windows, labels[chosen], overlap=max(1.0, overlap))


def _drawn(labels: NDArray[np.int8], *, limit: int, seed: int) -> NDArray[np.intp]:
    """Places of at most `limit` samples, rising."""
    if len(labels) <= limit:
        return np.arange(len(labels))
    anomalous = np.flatnonzero(labels != 0)
    count = min(len(anomalous), max(limit // 10, limit * len(anomalous) // len(labels)))
    count = min(count, limit - min(len(labels) - len(anomalous), limit // 2))
    rng = generator(seed, "sample")
    parts = ((np.flatnonzero(labels == 0), limit - count), (anomalous, count))
    return np.sort(np.concatenate([rng.choice(some, min(most, len(some)), replace=False) for some, most in parts]))


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
