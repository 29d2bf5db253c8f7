"""Which trial of a search is trained for good."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Params, Trial
from components.core.errors import ModelError
from components.core.seeds import derive_seed
from components.search.objective import better_beyond_error
from components.search.study import Study


def choose(study: Study, labels: NDArray[np.int8], *, groups: NDArray[np.str_] | None = None) -> Trial:
    """Trial 0, unless others are better beyond their bootstrap error: then the best of those, the faster of equals.

    A detector stands there by its defaults if these are better, else by its best trial, so that what is tried most is
    not the luckiest; once it is chosen, trials of it that are better than that beyond their error replace it. Where
    trial 0 failed there is nothing to hold on to, and the best of the others is taken.

    Args:
        study: With its completed trials' validation scores.
        labels: ``(N,)`` of the same validation samples, 1 anomalous.
        groups: ``(N,)`` which of them count as one; see `better_beyond_error`.

    Raises:
        ModelError: Every trial failed; the message gives the first reason.
    """
    trials = study.trials()
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        first = trials[0].why if trials else "there was none"
        raise ModelError(f"Every trial of search {study.name} failed: {first}.", hint="Check the data and parameters.")

    def better(others: Sequence[Trial], one: Trial) -> list[Trial]:
        seed, scores = derive_seed(study.seed, "choice"), [study.scores(trial.number) for trial in others]
        found = better_beyond_error(scores, study.scores(one.number), labels, seed=seed, groups=groups)
        return [trial for trial, beyond in zip(others, found, strict=True) if beyond]

    default, *others = complete
    if default.number != 0:
        return min(complete, key=_rank)
    kin: dict[str, list[Trial]] = {}
    for trial in better(others, default):
        kin.setdefault(study.space.detector_of(trial.params), []).append(trial)
    bases = [_base(trials, study.defaults_of(name)) for name, trials in kin.items()]
    base = min(bases, key=_rank, default=default)
    return min(better(kin.get(study.space.detector_of(base.params), []), base), key=_rank, default=base)


def _base(trials: Sequence[Trial], defaults: Params) -> Trial:
    """Of one detector's trials that of its `defaults`, or the best."""
    return next((trial for trial in trials if trial.params == defaults), min(trials, key=_rank))


def _rank(trial: Trial) -> tuple[float, float]:
    assert trial.value is not None
    return -trial.value, trial.seconds
