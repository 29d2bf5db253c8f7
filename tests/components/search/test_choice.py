"""The trial that is trained for good."""

from collections.abc import Callable

import numpy as np
import pytest

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
