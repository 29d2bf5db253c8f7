"""Shapley values by sampled coalitions: Kernel SHAP of the library `shap`."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from components.explain.exact import ValueFunction

LEAST_PER_PLAYER = 4
"""Coalitions a player, below which the regression is not determined."""


def coalitions(players: int, *, wanted: int) -> int:
    """How many coalitions to evaluate where `wanted` were declared: at least four a player.

    >>> coalitions(90, wanted=256)
    360
    """
    return max(wanted, LEAST_PER_PLAYER * players)


def kernel_shapley(game: ValueFunction, players: int, *, evaluations: int, seed: int) -> NDArray[np.float64]:
    """Estimated Shapley values ``(P,)`` of one game (Lundberg and Lee, 2017, section 4.1).

    With ``2**P - 2`` evaluations or more every coalition is evaluated and they are exact. They add up to the worth of
    all less that of none by construction, whatever they are worth themselves.

    Args:
        game: Worth of coalitions.
        players: P.
        evaluations: Coalitions evaluated.
        seed: Of the coalitions drawn.
    """
    from shap import KernelExplainer

    with _numpy_seed(seed):
        # Its data are 0 and 1: out of the coalition and in it.
        explainer = KernelExplainer(lambda who: game(who > 0), np.zeros((1, players)))
        values = explainer.shap_values(np.ones(players), nsamples=evaluations, l1_reg=False, silent=True)
    return np.asarray(values, dtype=np.float64).reshape(players)


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """`shap` draws from NumPy's global generator: seed it, and put it back as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
