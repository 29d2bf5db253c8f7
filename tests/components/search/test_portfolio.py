"""A search over several detectors, each with parameters of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from components.core.errors import ConfigError
from components.search.attempts import Draft
from components.search.portfolio import Portfolio
from components.search.space import Parameter, SearchSpace
from components.search.study import Study

Opener = Callable[..., Study]


@pytest.fixture
def portfolio(space: SearchSpace) -> Portfolio:
    """`toy` (pinned to depth 5) and `other`, which has a `depth` of another kind."""
    parameters = TypeAdapter(dict[str, Parameter]).validate_python(
        {"depth": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}
    )
    return Portfolio(spaces=(space.pin({"depth": 5}), SearchSpace(detector="other", parameters=parameters)))


def tell(study: Study, params: dict[str, Any]) -> None:
    asked = study.ask(Draft(params=params, proposed_by="tpe", why=""))
    # Only the second detector is any good, best at a depth of 0.8.
    value = 1 - abs(params["depth"] - 0.8) if params["detector"] == "other" else 0.1
    study.tell(asked, value=value, low=0.0, high=1.0, seconds=0.1, scores=[0.0, 1.0])


def test_configurations_of_both_detectors_survive_the_database(
    any_url: str, open_study: Opener, portfolio: Portfolio
) -> None:
    study = open_study(any_url, space=portfolio)
    tell(study, portfolio.defaults())
    tell(study, {"detector": "other", "depth": 0.25})
    found = [trial.params for trial in open_study(any_url, space=portfolio).trials()]
    assert found == [
        {"detector": "toy", "rate": 0.01, "stages": "2-3", "depth": 5},
        {"detector": "other", "depth": 0.25},
    ]
    assert study.was_tried({"detector": "other", "depth": 0.25})
    assert not study.was_tried({"detector": "other", "depth": 0.5})
    assert [proposal.params for proposal in study.proposals()][1] == {"detector": "other", "depth": 0.25}


def test_tpe_proposes_whole_configurations_and_learns_which_detector_is_good(
    url: str, open_study: Opener, portfolio: Portfolio
) -> None:
    study = open_study(url, space=portfolio)
    tell(study, portfolio.defaults())
    for _ in range(24):
        params = study.suggest()
        assert params is not None
        assert portfolio.problem(params) == ""
        tell(study, params)
    late = [trial for trial in study.trials() if trial.number > 12]
    assert sum(trial.params["detector"] == "other" for trial in late) > len(late) / 2
    assert max(trial.value or 0 for trial in study.trials()) > 0.95


def test_a_resumed_search_proposes_what_the_uninterrupted_one_would(
    url: str, open_study: Opener, portfolio: Portfolio
) -> None:
    study = open_study(url, space=portfolio)
    for params in (portfolio.defaults(), *({"detector": "other", "depth": depth} for depth in (0.1, 0.4, 0.7, 0.9))):
        tell(study, params)
    assert open_study(url, space=portfolio).suggest() == study.suggest()


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"depth": 0.5}, "detector must be one of"),
        ({"detector": "none", "depth": 0.5}, "got 'none'"),
        ({"detector": ["other"], "depth": 0.5}, "detector must be one of"),
        ({"detector": "other", "rate": 0.5}, "unknown parameter 'rate'"),
        ({"detector": "toy", "rate": 0.5, "stages": "2-3", "depth": 4}, "unknown parameter 'depth'"),
        ({"detector": "other", "depth": 2.0}, "depth must lie in"),
    ],
)
def test_what_is_no_configuration_is_refused(portfolio: Portfolio, params: dict[str, Any], problem: str) -> None:
    assert problem in portfolio.problem(params)
    with pytest.raises(ConfigError, match="not in the search space"):
        portfolio.validate_params(params)


def test_a_language_model_sees_one_alternative_a_detector(portfolio: Portfolio) -> None:
    first, second = portfolio.json_schema()["anyOf"]
    assert first["properties"]["detector"] == {"const": "toy"}
    assert first["required"] == ["detector", "rate", "stages"]
    assert set(second["properties"]) == {"detector", "depth"}
    assert not second["additionalProperties"]
