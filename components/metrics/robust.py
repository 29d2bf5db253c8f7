"""Where values lie and how far they spread, whatever a few broken readings among them say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

HUGE = 1e100
"""Values are cut there: squares of what is larger, such as the largest double that some systems write for no reading,
leave the range of numbers, and what comes of them is no feature."""

_IQR = 1.349
"""Interquartile range of a standard normal distribution: makes a robust deviation of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of each of F columns.

    Attributes:
        middle: ``(F,)`` medians.
        deviation: ``(F,)`` robust deviations: of the quartiles; where most values are equal, and those say nothing,
            what the others are away from them by the median; 0 where all are equal.
        least, most: ``(F,)`` the lowest and highest value that is not rare.
    """

    middle: Vector
    deviation: Vector
    least: Vector
    most: Vector


def spread(values: Vector, *, rare: float) -> Spread:
    """Of ``(N, F)`` finite values, N at least 2; `rare` are that share of each end, one value at least.

    >>> found = spread(np.array([[1.0], [2.0], [3.0], [4.0], [65535.0]]), rare=0.01)
    >>> found.middle, found.least, found.most
    (array([3.]), array([2.]), array([4.]))
    """
    # NumPy sorts in less than half the time that it takes to find five places by partition.
    ordered = np.sort(values, axis=0)
    low, middle, high = np.percentile(ordered, [25, 50, 75], axis=0)
    few = max(1, int(rare * len(values)))
    least, most = ordered[few], ordered[-1 - few]
    deviation = (high - low) / _IQR
    # The median, as of their deviation a broken reading would be the most.
    away = np.abs(values[:, high <= low] - middle[high <= low])
    deviation[high <= low] = [np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in away.T]
    return Spread(middle=middle, deviation=deviation, least=least, most=most)
