"""Memory that a fit would take beside what there is: refused before it starts, not killed on the way."""

from pathlib import Path

from components.core.errors import ModelError
from components.core.ports import Detector, Foreseen, Samples
from components.models.feature_memo import remembered

_GROUP = Path("/sys/fs/cgroup")


def require_memory(detector: Detector, samples: Samples) -> None:
    """Refuse to fit `detector` on `samples` where its estimate of the memory it needs is more than there is.

    What may be remembered beside it (see `components.models.feature_memo`) counts, and is given up if that lets it fit.

    Raises:
        ModelError: It would not fit; the message has both figures.
    """
    if not isinstance(detector, Foreseen) or len(samples) == 0:
        return
    needed, free, memo = detector.memory_needed(samples), free_memory(), remembered()
    if memo is not None and needed > free - (memo.limit - memo.held):
        free += memo.held
        if needed <= free:
            memo.close()
    if needed > free:
        raise ModelError(
            f"Fitting {detector.name} on {len(samples)} samples needs about {needed / 1e9:.2f} GB of memory, "
            f"{free / 1e9:.2f} GB are free.",
            hint=f"Lower {' or '.join(detector.memory_depends_on)}, or free memory.",
        )


def spare_memory() -> float:
    """Bytes that remembered features may take, an eighth of `free_memory`."""
    return free_memory() / 8


def free_memory() -> float:
    """Bytes that this process may still take: what the machine has, and what its control group allows."""
    import psutil

    free = float(psutil.virtual_memory().available)
    try:
        limit = (_GROUP / "memory.max").read_text().strip()
        used = int((_GROUP / "memory.current").read_text())
        cached = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
    except OSError:  # no control group of version 2
        return free
    return free if limit == "max" else min(free, max(0.0, int(limit) - used + int(cached.get("file", 0))))
