"""Training samples that validate a search's trials: few held-out ones rarely tell close detectors apart."""

import numpy as np
from numpy.typing import NDArray

from components.core.seeds import generator

ENOUGH = 100
"""Normal validation samples that need no others beside them."""

MOST = 0.25
"""Share of the normal training samples that may be lent: trials are fitted on the rest."""


def lent(labels: NDArray[np.int8], groups: NDArray[np.str_], *, held_out: int, seed: int) -> NDArray[np.bool_]:
    """Which training samples ``(N,)`` a search validates on, beside `held_out` normal ones; a retrain keeps them all.

    Whole groups of normal samples, at random, until there are `ENOUGH` or `MOST` of the training samples are lent: the
    model that is kept is fitted on them too, and no threshold comes from the trials.

    Args:
        labels: ``(N,)``, 0 normal.
        groups: ``(N,)`` names of what belongs together, so that no trial knows a near twin of what it is judged on.
        held_out: Normal samples that validate anyway.
        seed: Of the choice.
    """
    normal = labels == 0
    left = min(ENOUGH - held_out, int(MOST * normal.sum()))
    names, sizes = np.unique(groups[~np.isin(groups, groups[~normal])], return_counts=True)
    chosen = []
    for place in generator(seed, "lent").permutation(len(names)):
        if left <= 0:
            break
        if sizes[place] <= left:
            chosen.append(names[place])
            left -= sizes[place]
    return np.isin(groups, chosen)
