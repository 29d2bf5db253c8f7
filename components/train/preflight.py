"""Memory that a fit would take beside what there is: refused before it starts, not killed on the way."""

from pathlib import Path

from components.core.errors import ModelError
from components.core.ports import Detector, Foreseen, Samples
from components.models.feature_memo import forget

_GROUP = Path("/sys/fs/cgroup")
_SPARE = 1 / 8


def require_memory(detector: Detector, samples: Samples) -> None:
    """Refuse to fit `detector` on `samples` where its estimate of the memory it needs is more than there is.

    Features that are remembered (see `components.models.feature_memo`) are given up for it first.

    Raises:
        ModelError: It would not fit; the message has both figures.
    """
    if not isinstance(detector, Foreseen) or len(samples) == 0:
        return
    needed, free = detector.memory_needed(samples), free_memory()
    if needed > free:
        forget()
        free = free_memory()
    if needed > free:
        raise ModelError(
            f"Fitting {detector.name} on {len(samples)} samples needs about {needed / 1e9:.2f} GB of memory, "
            f"{free / 1e9:.2f} GB are free.",
            hint=f"Lower {' or '.join(detector.memory_depends_on)}, or free memory.",
        )


def spare_memory() -> float:
    """Bytes that remembered features may take: too little to be in a fit's way."""
    return free_memory() * _SPARE


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
