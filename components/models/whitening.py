"""Features as principal components, each in its own deviation: what breaks the relations of columns stands out."""

import numpy as np
from numpy.typing import NDArray

MOST = 512
"""Components of what varies at most, those of most variance: bounds what a model keeps of a very wide table."""

SHARP = 1e-4
"""Floor for distances: where normal samples differ by less than a hundredth of a deviation, rounding decides."""

Doubles = NDArray[np.float64]


def whitening(rows: Doubles, *, floor: float, overlap: float, gaps: int = 0) -> Doubles:
    """``(F, K)`` that features ``(N, F)`` like `rows`, less their mean, are multiplied with.

    The covariance is shrunk as Ledoit & Wolf (2004) do, who take samples to be independent and shrink in proportion to
    the squared error that so many leave. Windows of which `overlap` hold one row leave as much as fewer by that factor.

    Args:
        rows: Of normal samples.
        floor: Of the mean variance, added to each component's, so that directions without any do not drown others.
        overlap: How many samples tell what one would that is independent of the others, at least 1.
        gaps: How many of the features, the last ones, are 0 in all normal samples: each is a component of its own, as a
            direction without variance is, and takes no part in the others.
    """
    from scipy.linalg import block_diag
    from sklearn.covariance import empirical_covariance, ledoit_wolf_shrinkage, shrunk_covariance

    varied = rows[:, : rows.shape[1] - gaps]
    shrinkage = min(1.0, overlap * ledoit_wolf_shrinkage(varied))
    values, vectors = np.linalg.eigh(shrunk_covariance(empirical_covariance(varied), shrinkage))
    values, vectors = values[-MOST:].clip(min=0), vectors[:, -MOST:]
    mean = values.mean()
    still = np.eye(gaps) / np.sqrt((shrinkage + floor) * mean)
    found: Doubles = block_diag(vectors / np.sqrt(values + floor * mean), still)
    return found
