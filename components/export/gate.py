"""Compares an export with the model it was made of, on the same samples. Pure: scores and verdicts in, figures out.

No label is read: what counts is that the two say the same, not that they are right. So the sealed test split may take
part without being looked at.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from components.core.contracts import Record, Word

UNSURE = "unsure"
Doubles = NDArray[np.float64]


class Limits(Record):
    """How far an export may differ; `gates.yaml` says it of a workspace."""

    flip_share: float = Field(ge=0, le=1)
    unsure_change: float = Field(ge=0, le=1)
    correlation: float = Field(ge=-1, le=1)


class Figures(Record):
    """An export beside its model, on the same samples.

    Attributes:
        samples: How many.
        flips: Verdicts that went from OK to NG or back; `flip_share` of all.
        changed: Verdicts that are another word, those from and to unsure included.
        unsure_before, unsure_after: Share of unsure verdicts, of the model and of the export.
        pearson, spearman: Correlation of the scores, and of their ranks; None where the model scores all alike, 0 where
            only the export does.
        largest_difference: Of two scores of a sample, in standard deviations of the model's scores: of a score near 0 a
            share of itself would say nothing.
        not_finite: Scores of the export that are no number.
    """

    samples: int
    flips: int
    flip_share: float
    changed: int
    unsure_before: float
    unsure_after: float
    pearson: float | None
    spearman: float | None
    largest_difference: float
    not_finite: int = 0

    @property
    def unsure_change(self) -> float:
        """By how much the share of unsure verdicts differs."""
        return abs(self.unsure_after - self.unsure_before)

    def __str__(self) -> str:
        """The figures that decide, in one line."""
        unknown = "not measurable"
        pearson, spearman = (unknown if r is None else f"{r:.6f}" for r in (self.pearson, self.spearman))
        return (
            f"{self.flips} of {self.samples} verdicts flip, unsure {self.unsure_before:.1%} -> {self.unsure_after:.1%},"
            f" score correlation {pearson} (ranks {spearman}), largest difference"
            f" {self.largest_difference:.2g} deviations"
        )


def compare(before: Doubles, after: Doubles, *, words_before: Sequence[Word], words_after: Sequence[Word]) -> Figures:
    """Figures of N samples' scores ``(N,)`` and verdicts, before and after the export.

    Raises:
        ValueError: There is no sample, or not as many of each.
    """
    if not len(before) == len(after) == len(words_before) == len(words_after) > 0:
        raise ValueError(f"{len(before)} scores cannot be compared with {len(after)}")
    finite = np.isfinite(after)
    pairs = list(zip(words_before, words_after, strict=True))
    flips = sum(one != other and UNSURE not in {one, other} for one, other in pairs)
    apart = np.abs(after - before)[finite] / max(float(before.std()), np.finfo(float).tiny)
    return Figures(
        samples=len(pairs),
        flips=flips,
        flip_share=flips / len(pairs),
        changed=sum(one != other for one, other in pairs),
        unsure_before=words_before.count(UNSURE) / len(pairs),
        unsure_after=words_after.count(UNSURE) / len(pairs),
        pearson=_pearson(before[finite], after[finite]),
        spearman=_pearson(_ranks(before[finite]), _ranks(after[finite])),
        largest_difference=float(apart.max(initial=0.0)),
        not_finite=int((~finite).sum()),
    )


def objections(figures: Figures, *, limits: Limits) -> tuple[str, ...]:
    """What is beyond the limits, with the figures; none where the export may leave."""
    found = []
    if figures.not_finite:
        found.append(f"{figures.not_finite} of {figures.samples} scores are no finite number")
    if figures.flip_share > limits.flip_share:
        share = f"{figures.flip_share:.2%}"
        found.append(f"{figures.flips} of {figures.samples} verdicts flip ({share}, at most {limits.flip_share:.2%})")
    if figures.unsure_change > limits.unsure_change:
        counts = (round(share * figures.samples) for share in (figures.unsure_before, figures.unsure_after))
        said = f"{' -> '.join(map(str, counts))} of {figures.samples} verdicts are unsure"
        found.append(f"{said}, a change of {figures.unsure_change:.2%} ({limits.unsure_change:.2%} at most)")
    if figures.pearson is not None and figures.pearson < limits.correlation:
        found.append(f"the scores' correlation is {figures.pearson:.6f} (at least {limits.correlation:g})")
    return tuple(found)


def _pearson(one: Doubles, other: Doubles) -> float | None:
    if len(one) < 2 or np.ptp(one) == 0:
        return None
    if np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: Doubles) -> Doubles:
    """Ranks, equal values at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], dtype=np.float64)
