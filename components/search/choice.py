"""Which trial of a search is trained for good."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Trial
from components.core.errors import ModelError
from components.core.seeds import derive_seed
from components.search.objective import better_beyond_error
from components.search.study import Study


def choose(study: Study, labels: NDArray[np.int8], *, groups: NDArray[np.str_] | None = None) -> Trial:
    """The first trial, unless others are better beyond their bootstrap error: then the best of the detectors of these.

    A detector of which any is better so begins with its own first trial, if that is no worse than the first of all,
    else with its earliest that is better. The earliest of its trials that is better than that beyond its error takes
    its place, as long as there is one: what is known is tried before what is estimated, and of equals the later are
    more often lucky than good. Of detectors that are equally good the one of the earliest trial is taken. Trials that
    failed count for nothing: the first that did not is held on to.

    Args:
        study: With its completed trials' validation scores.
        labels: ``(N,)`` of the same validation samples, 1 anomalous.
        groups: ``(N,)`` which of them count as one; see `better_beyond_error`.

    Raises:
        ModelError: Every trial failed; the message gives the first reason, and what to do about it.
    """
    trials = study.trials()
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        first = study.reason(trials[0].number).rstrip(".") if trials else "there was none"
        raise ModelError(f"Every trial of search {study.name} failed: {first}.")

    def better(others: Sequence[Trial], one: Trial) -> list[Trial]:
        seed, scores = derive_seed(study.seed, "choice"), [study.scores(trial.number) for trial in others]
        found = better_beyond_error(scores, study.scores(one.number), labels, seed=seed, groups=groups)
        return [trial for trial, beyond in zip(others, found, strict=True) if beyond]

    held, *others = complete
    tried: dict[str, list[Trial]] = {}
    for trial in complete:
        tried.setdefault(study.space.detector_of(trial.params), []).append(trial)
    kin: dict[str, list[Trial]] = {}
    for trial in better(others, held):
        kin.setdefault(study.space.detector_of(trial.params), []).append(trial)
    standing = []
    for name, own in kin.items():
        opening = tried[name][0]
        one = opening if _value(opening) >= _value(held) else own[0]
        # All that were tried of it are compared at once: of the best alone the luckiest would be better too often.
        while replacing := [t for t in better([t for t in tried[name] if t is not one], one) if t in own]:
            one = replacing[0]
        standing.append(one)
    return min(standing, key=_rank, default=held)


def _rank(trial: Trial) -> tuple[float, int]:
    return -_value(trial), trial.number


def _value(trial: Trial) -> float:
    assert trial.value is not None
    return trial.value
