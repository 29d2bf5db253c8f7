"""What the stages need from the world outside, as protocols; adapters satisfy them, behaviour suites prove it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .contracts import Calibration, Modality, Params, Scores
from .network import WholeNetwork

Image = NDArray[np.uint8]
"""``(H, W, 3)`` RGB; grey images have three equal channels."""

Windows = NDArray[np.float64]
"""``(N, W, D)``: N windows of W rows and D feature columns; NaN where a value is missing; categories as codes."""

Batch = Sequence[Image] | Windows

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) on long work; total 0 means unknown."""


def silent(what: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


class Samples(Protocol):
    """N samples that are read when asked for, so that a set may be larger than memory.

    Attributes:
        ids: N sample names (SHA-256).
        labels: ``(N,)`` int8: 1 anomalous, 0 normal or unknown.
    """

    @property
    def ids(self) -> Sequence[str]: ...  # noqa: D102 - see the class

    @property
    def labels(self) -> NDArray[np.int8]: ...  # noqa: D102 - see the class

    def __len__(self) -> int: ...

    def take(self, indices: Sequence[int]) -> Batch:
        """The samples at `indices`, in that order."""
        ...


def batches(samples: Samples, *, size: int) -> Iterator[Batch]:
    """All of `samples` in order, at most `size` at a time."""
    for start in range(0, len(samples), size):
        yield samples.take(range(start, min(start + size, len(samples))))


@runtime_checkable
class Detector(Protocol):
    """A model that scores samples; higher is more anomalous.

    Attributes:
        name: Registered name.
        modality: What it scores.
        uses_labels: Whether `fit` learns from anomalous samples; where False it is given normal ones only.
        batch_tolerance: Largest relative change of a score when the batch size changes.
        params: Every parameter, defaults filled in.
        calibration: Threshold, once calibrated; saved and loaded with the model.
    """

    name: ClassVar[str]
    modality: ClassVar[Modality]
    uses_labels: ClassVar[bool]
    batch_tolerance: ClassVar[float]
    calibration: Calibration | None

    @property
    def params(self) -> Params: ...  # noqa: D102 - see the class

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Learn from `samples`; the same samples and seed give the same scores.

        Raises:
            ModelError: The samples cannot be learned from (none, all constant, ...).
        """
        ...

    def score(self, batch: Batch) -> Scores:
        """Scores of `batch`, which is not changed."""
        ...

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """Where the score comes from: maps ``(N, H, W)`` at the model's resolution, or shares ``(N, W, D)``."""
        ...

    def as_network(self) -> WholeNetwork:
        """Everything between a sample and its score as one network, which gives the same scores.

        Raises:
            ModelError: It is not fitted, or too large for one.
        """
        ...

    def save(self, directory: Path) -> None:
        """Write JSON and safetensors into the empty or missing `directory`."""
        ...

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote; scores equal those before saving exactly.

        Raises:
            ModelError: A file is missing, of another format, or not JSON or safetensors.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """A detector of images that can say what an image is like, for drift checks."""

    @property
    def embed_size(self) -> int: ...  # noqa: D102 - E of `embed`

    def embed(self, batch: Sequence[Image]) -> NDArray[np.float32]:
        """``(N, E)`` features of N images."""
        ...


@runtime_checkable
class PlainScores(Protocol):
    """A detector whose scores cost less without their uncertainty: for those who ask for very many."""

    def plain_scores(self, batch: Batch) -> NDArray[np.float64]:
        """``(N,)``: exactly `Scores.image` of `Detector.score`."""
        ...


@runtime_checkable
class LeftOut(Protocol):
    """A detector that can score what it was fitted on as if it had not seen it.

    Attributes:
        left_out_scores: ``(M,)`` float64 once fitted: of each of M normal training samples, its score on the scale of
            `Scores.image` by what the detector keeps of the others. Biased against new samples, because what it keeps
            was chosen with the sample among them; see `components.metrics.tails`. None where that cannot be told, or
            in a detector that was loaded.
    """

    @property
    def left_out_scores(self) -> NDArray[np.float64] | None: ...  # noqa: D102 - see the class


@runtime_checkable
class Foreseen(Protocol):
    """A detector that can say how much memory a fit will take.

    Attributes:
        memory_depends_on: Parameters that make it less when they are lowered.
    """

    memory_depends_on: ClassVar[tuple[str, ...]]

    def memory_needed(self, samples: Samples) -> float:
        """Bytes at the peak of a fit, beyond what the process has when it starts; an estimate, one sample is read."""
        ...


@runtime_checkable
class Portable(Protocol):
    """A detector that may be loaded where its own precision is not computed in."""

    def prove_f32(self, samples: Samples) -> None:
        """Compare, once calibrated, its verdicts on `samples` with those in f32; what is found is saved with it."""
        ...


class ObjectStore(Protocol):
    """Files below one root: a folder or an S3 prefix. Keys are POSIX paths relative to the root."""

    def list(self) -> Iterator[tuple[str, int]]:
        """(key, size in bytes) of every object, sorted by key, read page by page."""
        ...

    def stamp(self, key: str) -> str:
        """What changes when the object's content does: `sha256:` and the hash, `etag:` and S3's, or "" if not known.

        Raises:
            SourceError: The object is gone or cannot be read.
        """
        ...

    def fetch(self, key: str, target: Path) -> str:
        """Copy one object to `target` whole or not at all; return its SHA-256.

        Raises:
            SourceError: The object is gone or cannot be read.
            UnavailableError: The store does not answer.
        """
        ...
