"""Anomalies for validation where real ones are few or none: drawn on held-out normal samples, synthetic for life.

They serve the search's objective alone, never calibration and never the test split: their names begin with
`synthetic:`, and `is_synthetic` tells them anywhere.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import TableSchema
from components.core.ports import Batch, Image, Samples, Windows
from components.core.seeds import generator
from components.models.parallel import each
from components.search.synthetic_images import draw_defect
from components.search.synthetic_tables import disturb, scales

PREFIX = "synthetic:"

ENOUGH = 8
"""Groups of real anomalies that validate alone: of fewer, chance is so wide that hardly any gain lies beyond it."""

LEAST = 32
"""Synthetic anomalies drawn at least, several on one sample where fewer are held out."""

ON_AN_IMAGE = 2
"""Defects differ more from each other than disturbed windows do, from a pinhole to a patch, and images are fewer."""

_REFERENCE = 2048
"""Windows read at most to learn the scale of normal values."""


def is_synthetic(sample: str) -> bool:
    """Whether a sample of that name was drawn by us."""
    return sample.startswith(PREFIX)


def drawn_on(sample: str) -> str:
    """Name of the real sample that this one was drawn on; its own if it is real.

    >>> drawn_on("synthetic:ab:3"), drawn_on("ab")
    ('ab', 'ab')
    """
    return sample.removeprefix(PREFIX).rpartition(":")[0] if is_synthetic(sample) else sample


class SyntheticSamples:
    """Anomalies drawn on the normal samples of `base` when they are read; itself a `Samples`, all labelled 1.

    As many as there are normal windows, or `ON_AN_IMAGE` for each normal image, and `LEAST` at least.
    The n-th anomaly on a sample depends on the seed and on the names of the samples alone, not on what is read with it.

    Args:
        base: Held-out samples, at least one of them normal; nothing is drawn on the others.
        seed: Of the retrain.
        schema: Of the table line; None for images.
    """

    def __init__(self, base: Samples, *, seed: int, schema: TableSchema | None = None) -> None:
        self._base, self._seed, self._schema = base, seed, schema
        self._normal: list[int] = np.flatnonzero(base.labels == 0).tolist()
        self._count = max(len(self._normal) * (ON_AN_IMAGE if schema is None else 1), LEAST)

    @cached_property
    def ids(self) -> Sequence[str]:
        """`synthetic:<sample>:<n>`."""
        ids, size = self._base.ids, len(self._normal)
        return [f"{PREFIX}{ids[self._normal[index % size]]}:{index // size}" for index in range(self._count)]

    @property
    def labels(self) -> NDArray[np.int8]:
        """Ones: all are anomalous."""
        return np.ones(self._count, dtype=np.int8)

    def __len__(self) -> int:
        return self._count

    def take(self, indices: Sequence[int]) -> Batch:
        """See `Samples.take`."""
        names, size = self.ids, len(self._normal)
        generators = [generator(self._seed, names[index]) for index in indices]
        drawn_on = self._take(indices)
        if self._schema is not None:
            windows, schema = cast("Windows", drawn_on), self._schema
            pairs = zip(windows, generators, strict=True)
            reference, scale = self._reference, self._scales
            return np.stack([disturb(w, reference=reference, scale=scale, schema=schema, rng=rng) for w, rng in pairs])
        # The next sample but a random number serves as donor of texture.
        donors = self._take([index + int(rng.integers(size)) for index, rng in self._with(indices)])
        triples = zip(cast("Sequence[Image]", drawn_on), cast("Sequence[Image]", donors), generators, strict=True)
        # On an image of a megapixel one patch of texture takes 0.4 s.
        return each(lambda one: draw_defect(one[0], donor=one[1], rng=one[2])[0], list(triples))

    def _take(self, indices: Sequence[int]) -> Batch:
        return self._base.take([self._normal[index % len(self._normal)] for index in indices])

    def _with(self, indices: Sequence[int]) -> list[tuple[int, np.random.Generator]]:
        return [(index, generator(self._seed, self.ids[index], "donor")) for index in indices]

    @cached_property
    def _reference(self) -> Windows:
        stride = -(-len(self._normal) // _REFERENCE)
        return cast("Windows", self._take(range(0, len(self._normal), stride)))

    @cached_property
    def _scales(self) -> NDArray[np.float64]:
        return scales(self._reference)


class JoinedSamples:
    """The samples of `first`, then those of `second`; itself a `Samples`."""

    def __init__(self, first: Samples, second: Samples) -> None:
        self._first, self._second = first, second

    @property
    def ids(self) -> list[str]:
        """Names of both."""
        return [*self._first.ids, *self._second.ids]

    @property
    def labels(self) -> NDArray[np.int8]:
        """Labels of both."""
        return np.concatenate([self._first.labels, self._second.labels])

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def take(self, indices: Sequence[int]) -> Batch:
        """See `Samples.take`."""
        size = len(self._first)
        ours = [place for place, index in enumerate(indices) if index < size]
        theirs = [place for place, index in enumerate(indices) if index >= size]
        if not theirs:
            return self._first.take([indices[place] for place in ours])
        if not ours:
            return self._second.take([indices[place] - size for place in theirs])
        parts = (
            self._first.take([indices[place] for place in ours]),
            self._second.take([indices[place] - size for place in theirs]),
        )
        order = np.argsort([*ours, *theirs])
        if isinstance(parts[0], np.ndarray):
            return np.concatenate(cast("tuple[Windows, Windows]", parts))[order]
        joined = [*parts[0], *parts[1]]
        return [joined[place] for place in order]


def are_few(groups: NDArray[np.str_]) -> bool:
    """Whether drawn anomalies join the real ones, which are of these `groups` ``(N,)``: fewer than `ENOUGH`.

    >>> are_few(np.array(["a"] * 20)), are_few(np.array(list("abcdefgh")))
    (True, False)
    """
    return len(np.unique(groups)) < ENOUGH


def with_synthetic(
    samples: Samples, *, groups: NDArray[np.str_], seed: int, schema: TableSchema | None = None
) -> tuple[Samples, bool]:
    """`samples` of validation, with drawn anomalies beside them where the real ones `are_few`; and whether so.

    Args:
        samples: Held-out ones, at least one of them normal.
        groups: ``(N,)`` names of what counts as one among these.
        seed: Of the retrain.
        schema: Of the table line; None for images.
    """
    if not are_few(groups[samples.labels == 1]):
        return samples, False
    return JoinedSamples(samples, SyntheticSamples(samples, seed=seed, schema=schema)), True
