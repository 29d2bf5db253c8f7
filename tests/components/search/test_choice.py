"""The trial that is trained for good."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.search.attempts import Draft
from components.search.choice import choose
from components.search.portfolio import Portfolio
from components.search.space import SearchSpace
from components.search.study import Study

LABELS = np.repeat(np.array([0, 1], dtype=np.int8), 30)


@pytest.mark.parametrize("default_fails", [False, True])
def test_of_equally_good_detectors_the_earliest_trial_is_chosen_however_slow(
    default_fails: bool, url: str, open_study: Callable[..., Study], space: SearchSpace
) -> None:
    names = ("toy", "slow", "fast")
    study = open_study(url, space=Portfolio(spaces=tuple(space.model_copy(update={"detector": n}) for n in names)))
    for name, value, seconds in zip(names, (0.5, 1.0, 1.0), (1, 9, 2), strict=True):
        params = study.space.filled({}, detector=name)
        asked = study.ask(Draft(params=params, proposed_by="", why=""))
        if name == "toy" and default_fails:
            study.fail(asked, reason="", seconds=seconds)
            continue
        scores = np.arange(60) if value == 1 else np.arange(60) % 30
        study.tell(asked, value=value, low=value, high=value, seconds=seconds, scores=list(map(float, scores)))
    assert study.space.detector_of(choose(study, LABELS).params) == "slow"


def test_where_the_first_trial_failed_the_next_is_held_on_to(
    url: str, open_study: Callable[..., Study], space: SearchSpace
) -> None:
    names = ("failed", "held", "lucky")
    study = open_study(url, space=Portfolio(spaces=tuple(space.model_copy(update={"detector": n}) for n in names)))
    scores = np.arange(60) % 30 + np.repeat([0, 12], 30)
    for name in names:
        asked = study.ask(Draft(params=study.space.filled({}, detector=name), proposed_by="", why=""))
        if name == "failed":
            study.fail(asked, reason="", seconds=1)
            continue
        own = scores + (name == "lucky") * np.eye(60)[45]  # better, by one sample
        study.tell(
            asked, value=0.8 + 0.01 * (name == "lucky"), low=0.7, high=0.9, seconds=1, scores=list(map(float, own))
        )
    assert study.space.detector_of(choose(study, LABELS).params) == "held"


@pytest.mark.parametrize(("missed", "chosen"), [(2, 1), (30, 2)])
def test_a_detector_whose_tuned_trial_is_better_begins_with_its_first_unless_that_is_worse(
    missed: int, chosen: int, url: str, open_study: Callable[..., Study], space: SearchSpace
) -> None:
    study = open_study(url, space=Portfolio(spaces=tuple(space.model_copy(update={"detector": n}) for n in ("a", "b"))))
    normal, above = np.arange(30.0), np.arange(30.0) + 14
    first = above - 100.0 * (np.arange(30) < missed)
    for detector, params, anomalous in (("a", {}, normal + 8), ("b", {}, first), ("b", {"depth": 7}, above)):
        scores = np.concatenate([normal, anomalous])
        asked = study.ask(Draft(params=study.space.filled(params, detector=detector), proposed_by="", why=""))
        study.tell(asked, value=roc_auc_score(LABELS, scores), low=0, high=1, seconds=1, scores=scores)
    assert choose(study, LABELS).number == chosen
