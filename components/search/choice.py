"""Which trial of a search is trained for good."""

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Trial
from components.core.errors import ModelError
from components.core.seeds import derive_seed
from components.search.objective import better_beyond_error
from components.search.study import Study


def choose(study: Study, labels: NDArray[np.int8]) -> Trial:
    """Trial 0, unless others are better beyond their bootstrap error: then the best of those, the faster of equals.

    Where trial 0 failed there is nothing to hold on to, and the best of the others is taken.

    Args:
        study: With its completed trials' validation scores.
        labels: ``(N,)`` of the same validation samples, 1 anomalous.

    Raises:
        ModelError: Every trial failed; the message gives the first reason.
    """
    trials = study.trials()
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        first = trials[0].why if trials else "there was none"
        raise ModelError(f"Every trial of search {study.name} failed: {first}.", hint="Check the data and parameters.")
    default, others = complete[0], complete[1:]
    if default.number != 0:
        return min(complete, key=_rank)
    seed, base = derive_seed(study.seed, "choice"), study.scores(0)
    better = [
        trial
        for trial in others
        if better_beyond_error(study.scores(trial.number), base, labels, seed=seed, comparisons=len(others))
    ]
    return min(better, key=_rank, default=default)


def _rank(trial: Trial) -> tuple[float, float]:
    assert trial.value is not None
    return -trial.value, trial.seconds
