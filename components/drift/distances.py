"""Evidently's distances for many ways at once to divide pooled samples into old and new.

Definitions are those of Evidently 0.7.23, `evidently.legacy.calculations.stattests`: `wasserstein_distance_norm`
and `jensenshannon`; a test compares them to 1e-9. Evidently measures one division at a time; a permutation null needs
thousands. Everywhere below `new` is ``(P, n)`` bool: P divisions of the same n pooled samples, true for new ones.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

Vector = NDArray[np.float64]
Divisions = NDArray[np.bool_]

EVIDENTLY_FLOOR = 0.001
"""Evidently divides by the reference's deviation, but never by less."""


def normed_wasserstein(values: Vector, *, new: Divisions) -> Vector:
    """First Wasserstein distance over the population deviation of the old samples, ``(P,)``, 0 or more.

    It is the area between the two empirical distribution functions, for a pure shift the shift in old deviations.
    Values that are not finite are left out, as Evidently does; a division that leaves one side empty measures 0.

    Args:
        values: ``(n,)``.
        new: ``(P, n)``.

    >>> normed_wasserstein(np.array([0.0, 2.0, 3.0, 5.0]), new=np.array([[False, False, True, True]])).tolist()
    [3.0]
    """
    finite = np.isfinite(values)
    kept = values[finite]
    order = np.argsort(kept, kind="stable")
    ordered = kept[order]
    chosen = new[:, finite][:, order]
    deviation, old_count, new_count = _old_deviation(ordered, chosen)
    usable = (old_count > 0) & (new_count > 0)
    safe_old, safe_new = np.where(usable, old_count, 1.0), np.where(usable, new_count, 1.0)
    below = np.arange(1, len(ordered), dtype=np.float64)
    # F_old - F_new at each gap between neighbours, from the count of new samples below it alone.
    gap = np.cumsum(chosen[:, :-1], axis=1, dtype=np.float64)
    gap *= -(1 / safe_old + 1 / safe_new)[:, None]
    gap += below / safe_old[:, None]
    area = np.abs(gap, out=gap) @ np.diff(ordered)
    distance: Vector = np.where(usable, area / np.maximum(deviation, EVIDENTLY_FLOOR), 0.0)
    return distance


def _old_deviation(ordered: Vector, chosen: Divisions) -> tuple[Vector, Vector, Vector]:
    old = (~chosen).astype(np.float64)
    count = old.sum(axis=1)
    centred = ordered - (ordered.mean() if len(ordered) else 0.0)
    safe = np.maximum(count, 1.0)
    variance = old @ centred**2 / safe - (old @ centred / safe) ** 2
    return np.sqrt(np.maximum(variance, 0.0)), count, len(ordered) - count


def jensen_shannon(codes: NDArray[np.int64], *, new: Divisions) -> Vector:
    """Jensen-Shannon distance (natural logarithm, square root) between the shares of categories, ``(P,)`` in [0, 0.83].

    Args:
        codes: ``(n,)`` category numbers from 0; negative ones are missing and left out.
        new: ``(P, n)``.
    """
    kept = codes >= 0
    hot = np.eye(int(codes.max(initial=0)) + 1)[codes[kept]]
    return jensen_shannon_of(new[:, kept].astype(np.float64) @ hot, total=hot.sum(axis=0))


def jensen_shannon_of(new_counts: Vector, *, total: Vector) -> Vector:
    """The same from the counts of K categories: ``(P, K)`` of the new samples, ``(K,)`` of all."""
    old_counts = total - new_counts
    new_total, old_total = new_counts.sum(axis=1, keepdims=True), old_counts.sum(axis=1, keepdims=True)
    usable = ((new_total > 0) & (old_total > 0))[:, 0]
    p, q = old_counts / np.maximum(old_total, 1.0), new_counts / np.maximum(new_total, 1.0)
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / 2
    distance: Vector = np.where(usable, np.sqrt(np.maximum(divergence, 0.0)), 0.0)
    return distance


def rate_difference(alarms: Vector, *, new: Divisions) -> Vector:
    """Absolute difference of the shares of alarms, ``(P,)`` in [0, 1].

    Args:
        alarms: ``(n,)`` of 0 and 1.
        new: ``(P, n)``.

    >>> rate_difference(np.array([0.0, 0.0, 1.0, 1.0]), new=np.array([[False, False, False, True]])).round(3).tolist()
    [0.667]
    """
    kinds = np.stack([1 - alarms, alarms], axis=1)
    return rate_difference_of(new.astype(np.float64) @ kinds, total=kinds.sum(axis=0))


def rate_difference_of(new_counts: Vector, *, total: Vector) -> Vector:
    """The same from the counts of silence and alarm: ``(P, 2)`` of the new samples, ``(2,)`` of all."""
    new_count, old_count = new_counts.sum(axis=1), (total - new_counts).sum(axis=1)
    new_alarms = new_counts[:, 1]
    rates = new_alarms / np.maximum(new_count, 1), (total[1] - new_alarms) / np.maximum(old_count, 1)
    difference: Vector = np.where((new_count > 0) & (old_count > 0), np.abs(rates[0] - rates[1]), 0.0)
    return difference
