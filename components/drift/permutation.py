"""What the distances would be if nothing had changed: groups exchanged between old and new at random.

If the groups of both windows are exchangeable (no drift, groups independent of each other and alike in size), the
observed division is one more random one, so the chance that the largest standardised distance over all columns exceeds
its critical value is at most `level`, whatever the distributions, sample sizes and dependence between columns (Westfall
and Young, 1993, "Resampling-based multiple testing", max-T; Phipson and Smyth, 2010, on the +1). It does not hold where
groups depend on each other: a wave slower than a block, samples of one batch that are named as groups of their own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import ConfigError
from components.drift.distances import Divisions, Vector

LEAST_PERMUTATIONS = 1_999
MOST_PERMUTATIONS = 99_999
EXCEEDANCES = 5
"""So many null values lie above the critical one: fewer would make it a coin's throw of the seed."""
_CELLS = 4_000_000

Distance = Callable[[Divisions], Vector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """Null distribution of F distances.

    Attributes:
        mean, deviation: ``(F,)`` of each distance when nothing changed.
        critical: Largest standardised distance that is still no drift, at the level asked for.
        permutations: How many were drawn.
    """

    mean: Vector
    deviation: Vector
    critical: float
    permutations: int

    @property
    def thresholds(self) -> Vector:
        """``(F,)``: a distance above its threshold is drift; all F together hold the level."""
        return self.mean + self.critical * self.deviation


def permutations_for(level: float) -> int:
    """How many permutations a test at `level` needs.

    Raises:
        ConfigError: More than 99,999, so `level` cannot be held.

    >>> permutations_for(0.05), permutations_for(0.05 / 20), permutations_for(0.001)
    (1999, 1999, 4999)
    """
    needed = math.ceil(EXCEEDANCES / level) - 1
    if needed > MOST_PERMUTATIONS:
        raise ConfigError(
            f"A false-alarm rate of {level:.2g} a check needs {needed} permutations, over {MOST_PERMUTATIONS}.",
            hint="Declare a larger drift.false_alarm_rate or a shorter drift.horizon.",
        )
    return max(LEAST_PERMUTATIONS, needed)


def enough_groups(old: int, new: int, *, level: float) -> bool:
    """Whether `old` and `new` groups can be divided in at least 1/level ways, so that `level` can be reached at all."""
    return math.comb(old + new, new) >= 1 / level


def units(old: NDArray[Any], new: NDArray[Any]) -> tuple[NDArray[np.int64], int, int]:
    """Group numbers ``(n,)`` of the pooled samples, old first, then how many old and new groups there are.

    A name that occurs in both windows counts as two groups: what is exchanged is which window a group is in.
    """
    old_names, old_index = np.unique(old, return_inverse=True)
    new_names, new_index = np.unique(new, return_inverse=True)
    return np.concatenate([old_index, new_index + len(old_names)]), len(old_names), len(new_names)


def null_distribution(
    distances: Sequence[Distance], *, groups: NDArray[np.int64], new_groups: int, level: float, rng: np.random.Generator
) -> Null:
    """The null of every distance in `distances` and the critical value of their standardised maximum.

    Args:
        distances: F functions from divisions ``(P, n)`` to ``(P,)``.
        groups: ``(n,)`` numbers of exchangeable groups.
        new_groups: How many groups are new in each division.
        level: Chance of a false alarm over all F, in (0, 1).
        rng: Source of the permutations.
    """
    total, count = permutations_for(level), int(groups.max()) + 1
    chunk = max(1, _CELLS // len(groups))
    rows: list[NDArray[np.float64]] = []
    for start in range(0, total, chunk):
        new = draw(min(chunk, total - start), count, new_groups, rng)[:, groups]
        rows.append(np.stack([distance(new) for distance in distances], axis=1))
    return null_of(np.concatenate(rows), level=level)


def null_of(values: NDArray[np.float64], *, level: float) -> Null:
    """The null of F distances that were measured on P random divisions, ``(P, F)``."""
    total = len(values)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    largest = np.sort(((values - mean) / np.where(deviation > 0, deviation, np.inf)).max(axis=1))
    # p = (1 + values at or above) / (1 + permutations) <= level exactly where the observed exceeds this one.
    above = math.floor(level * (total + 1) * (1 + 1e-12))
    return Null(mean=mean, deviation=deviation, critical=float(largest[-above]), permutations=total)


def draw(rows: int, count: int, new: int, rng: np.random.Generator) -> Divisions:
    """``(rows, count)``: random divisions of `count` groups of which `new` are new."""
    ranks = np.argpartition(rng.random((rows, count)), new - 1, axis=1)[:, :new]
    chosen = np.zeros((rows, count), dtype=np.bool_)
    np.put_along_axis(chosen, ranks, True, axis=1)
    return chosen
