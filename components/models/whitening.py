"""Features as principal components, each in its own deviation: what breaks the relations of columns stands out."""

import numpy as np
from numpy.typing import NDArray

MOST = 512
"""Components at most, those of most variance: bounds what a model keeps of a very wide table."""

SHARP = 1e-4
"""Floor for distances: where normal samples differ by less than a hundredth of a deviation, rounding decides."""

Doubles = NDArray[np.float64]


def whitening(rows: Doubles, *, floor: float, overlap: float) -> Doubles:
    """``(F, K)`` that features ``(N, F)`` like `rows`, less their mean, are multiplied with.

    The covariance is shrunk as Ledoit & Wolf (2004) do, who take samples to be independent and shrink in proportion to
    the squared error that so many leave. Windows of which `overlap` hold one row leave as much as fewer by that factor.

    Args:
        rows: Of normal samples.
        floor: Of the mean variance, added to each component's, so that directions without any do not drown others.
        overlap: How many samples tell what one would that is independent of the others, at least 1.
    """
    from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance

    shrinkage = min(1.0, overlap * ledoit_wolf_shrinkage(rows))
    values, vectors = np.linalg.eigh(shrunk_covariance(empirical_covariance(rows), shrinkage))
    values, vectors = values[-MOST:].clip(min=0), vectors[:, -MOST:]
    found: Doubles = vectors / np.sqrt(values + floor * values.mean())
    return found
