"""Features as principal components, each in its own deviation: what breaks the relations of columns stands out."""

import numpy as np
from numpy.typing import NDArray

MOST = 512
"""Components at most, those of most variance: bounds what a model keeps of a very wide table."""

SHARP = 1e-4
"""Floor for distances: where normal samples differ by less than a hundredth of a deviation, rounding decides."""

Doubles = NDArray[np.float64]


def whitening(rows: Doubles, *, floor: float) -> Doubles:
    """``(F, K)`` that features ``(N, F)`` like `rows`, less their mean, are multiplied with.

    The covariance is shrunk as Ledoit & Wolf (2004) do.

    Args:
        rows: Of normal samples.
        floor: Of the mean variance, added to each component's, so that directions without any do not drown others.
    """
    from sklearn.covariance import ledoit_wolf

    values, vectors = np.linalg.eigh(ledoit_wolf(rows)[0])
    values, vectors = values[-MOST:].clip(min=0), vectors[:, -MOST:]
    found: Doubles = vectors / np.sqrt(values + floor * values.mean())
    return found
