"""The builder's loop: what it tries, when it stops, what it chooses, and what an interruption costs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.checkpoints import open_saver
from agents.graphs.builder import BuilderTask, Evaluate, run_builder
from agents.graphs.limits import BuilderLimits, reason_to_stop
from agents.knowledge.heuristics import DataFacts
from agents.proposers import KnowledgeProposer, Proposer
from components.core.contracts import Proposal, SearchOutcome, Trial
from components.core.errors import ConfigError, ModelError, NotEnoughDataError
from components.search.attempts import Draft
from components.search.portfolio import Portfolio
from components.search.space import SearchSpace
from components.search.study import Study

Opener = Callable[..., Study]
Runner = Callable[..., SearchOutcome]


@pytest.fixture
def search(
    open_study: Opener, facts: DataFacts, labels: NDArray[np.int8], limits: BuilderLimits, evaluate: Evaluate
) -> Runner:
    """Runs one search to its end, as the process `holder`."""

    def run(
        url: str,
        *,
        evaluate: Evaluate = evaluate,
        proposer: Proposer | None = None,
        limits: BuilderLimits = limits,
        labels: NDArray[np.int8] = labels,
        told: list[Trial] | None = None,
        baselines: tuple[str, ...] = (),
        **study: Any,
    ) -> SearchOutcome:
        with open_saver(url) as saver, open_study(url, **study) as opened:
            return run_builder(
                BuilderTask(facts=facts, labels=labels, lent=3, baselines=baselines),
                study=opened,
                evaluate=evaluate,
                proposer=proposer or KnowledgeProposer(()),
                saver=saver,
                limits=limits,
                on_trial=(told if told is not None else []).append,
            )

    return run


def test_a_search_tries_the_default_first_and_stops_on_its_budget(any_url: str, search: Runner) -> None:
    told: list[Trial] = []
    outcome = search(any_url, told=told)
    assert outcome.stopped_by == "trials"
    assert [trial.number for trial in outcome.trials] == [0, 1, 2, 3, 4]
    assert told == list(outcome.trials)
    assert outcome.trials[0].params == {"rate": 0.01, "depth": 3}
    assert outcome.trials[0].proposed_by == "default"
    assert {trial.proposed_by for trial in outcome.trials[1:]} == {"tpe"}
    assert outcome.synthetic
    assert outcome.lent == 3
    assert [proposal.number for proposal in outcome.proposals] == [0, 1, 2, 3, 4]
    best = outcome.trials[0].value
    assert best is not None
    assert all(trial.low is not None and trial.low <= (trial.value or 0) for trial in outcome.trials)


def test_baselines_come_second_and_every_other_detector_gets_a_trial_by_its_defaults(
    url: str, search: Runner, space: SearchSpace, evaluate: Evaluate
) -> None:
    others = tuple(space.model_copy(update={"detector": name}) for name in ("plain", "slow"))
    outcome = search(
        url,
        space=Portfolio(spaces=(space, *others)),
        baselines=("plain",),
        evaluate=lambda params, number: evaluate({"rate": 0.9 if params["detector"] == "slow" else 0.01}, number),
    )
    opening = [(trial.params["detector"], trial.proposed_by) for trial in outcome.trials[:3]]
    assert opening == [("toy", "default"), ("plain", "baseline"), ("slow", "knowledge")]
    assert outcome.best.params["detector"] == "slow"


def test_a_finished_search_is_not_run_again_but_goes_on_with_a_larger_budget(
    url: str, search: Runner, limits: BuilderLimits
) -> None:
    first = search(url)
    again = search(url, evaluate=_never)
    assert again == first
    more = search(url, limits=limits.model_copy(update={"trials": 7}))
    assert more.trials[:5] == first.trials
    assert len(more.trials) == 7


def test_the_same_seed_gives_the_same_search(search: Runner, tmp_path: Any) -> None:
    first, second = (search(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db"))
    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]
    assert [trial.value for trial in first.trials] == [trial.value for trial in second.trials]


def test_the_default_is_kept_unless_another_is_better_beyond_its_error(
    url: str, search: Runner, evaluate: Evaluate
) -> None:
    def slightly(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        return evaluate({"rate": 0.5}, number) + np.random.default_rng(number).normal(size=80) * 0.02

    assert search(url, evaluate=slightly).best.number == 0


def test_a_much_better_configuration_replaces_the_default(url: str, search: Runner, evaluate: Evaluate) -> None:
    outcome = search(url, evaluate=lambda _, number: evaluate({"rate": 1.2 if number == 3 else 0.01}, number))
    assert outcome.best.number == 3


@pytest.mark.parametrize(("gain", "chosen"), [(0.0, 1), (0.4, 3)])
def test_of_equals_the_earliest_is_chosen(
    gain: float, chosen: int, url: str, search: Runner, evaluate: Evaluate
) -> None:
    def rising(_: dict[str, Any], number: int) -> NDArray[np.float64]:
        rate = 0.6 + number / 20 + (gain if number > 2 else 0)
        return evaluate({"rate": rate if number else 0.01}, number) + np.random.default_rng(number).normal(size=80) / 2

    outcome = search(url, evaluate=rising)
    values = [trial.value or 0 for trial in outcome.trials]
    assert outcome.best.number == chosen
    assert max(values) > values[chosen]


@pytest.mark.parametrize(("gain", "tuned"), [(0.02, False), (1.5, True)])
def test_a_better_detector_keeps_its_defaults_unless_others_of_it_are_better_beyond_their_error(
    gain: float, tuned: bool, url: str, search: Runner, space: SearchSpace, evaluate: Evaluate
) -> None:
    def better_when_tuned(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        if params["detector"] == "toy":
            return evaluate({"rate": 0.01}, number)
        noise = 0.02 * np.random.default_rng(number).normal(size=80)
        return evaluate({"rate": 0.6 + (gain if number > 1 else 0)}, number) + noise

    other = space.model_copy(update={"detector": "other"})
    outcome = search(url, space=Portfolio(spaces=(space, other)), evaluate=better_when_tuned)
    default = outcome.trials[1]
    assert default.params["detector"] == "other"
    assert max(trial.value or 0 for trial in outcome.trials[2:]) > (default.value or 0)
    assert outcome.best.params["detector"] == "other"
    assert (outcome.best.number > 1) == tuned


def test_a_perfect_default_ends_the_search(url: str, search: Runner, labels: NDArray[np.int8]) -> None:
    outcome = search(url, evaluate=lambda *_: labels * 1.0)
    assert (len(outcome.trials), outcome.stopped_by, outcome.best.number) == (1, "nothing left to gain", 0)


def test_no_progress_ends_the_search(url: str, search: Runner, evaluate: Evaluate, limits: BuilderLimits) -> None:
    outcome = search(
        url,
        evaluate=lambda _, number: evaluate({"rate": 0.1}, number),
        limits=limits.model_copy(update={"patience": 2}),
    )
    assert (len(outcome.trials), outcome.stopped_by) == (3, "no progress")


def test_time_ends_the_search(url: str, search: Runner, limits: BuilderLimits) -> None:
    outcome = search(url, limits=limits.model_copy(update={"seconds": 1e-6}))
    assert (len(outcome.trials), outcome.stopped_by) == (1, "seconds")


def test_a_used_up_space_ends_the_search(url: str, search: Runner, space: SearchSpace) -> None:
    outcome = search(url, space=space.pin({"rate": 0.01, "depth": 3}))
    assert (len(outcome.trials), outcome.stopped_by) == (1, "search space exhausted")


def test_a_failed_trial_does_not_end_the_search(url: str, search: Runner, evaluate: Evaluate) -> None:
    def fails(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        if number in (0, 2):
            raise ModelError(f"no fit of {number}.", hint="Try others.")
        return evaluate(params, number)

    outcome = search(url, evaluate=fails)
    assert [trial.state for trial in outcome.trials] == ["failed", "complete", "failed", "complete", "complete"]
    assert "failed: no fit of 2. Try others." in outcome.trials[2].why
    assert outcome.best.value == max(trial.value for trial in outcome.trials if trial.value is not None)


def test_scores_that_are_not_finite_fail_the_trial(url: str, search: Runner) -> None:
    with pytest.raises(ModelError, match=r"^Every trial of search s failed: The .* not finite\. Check [^.]*\.\s"):
        search(url, evaluate=lambda *_: np.full(80, np.nan))


def test_validation_of_one_class_ends_the_search_at_once(url: str, search: Runner) -> None:
    with pytest.raises(NotEnoughDataError, match="0 anomalous and 80 normal"):
        search(url, labels=np.zeros(80, dtype=np.int8))


def test_a_fault_of_ours_is_not_a_failed_trial(url: str, search: Runner, evaluate: Evaluate) -> None:
    def breaks(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        if number == 2:
            raise ZeroDivisionError
        return evaluate(params, number)

    with pytest.raises(ZeroDivisionError):
        search(url, evaluate=breaks)
    calls: list[int] = []

    def counted(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        calls.append(number)
        return evaluate(params, number)

    outcome = search(url, evaluate=counted)
    assert calls == [2, 3, 4]
    assert [trial.state for trial in outcome.trials] == ["complete"] * 5


def test_a_trial_that_was_stored_is_told_again_but_not_evaluated_again(url: str, search: Runner) -> None:
    class Lost(list[Trial]):
        """The listener dies with the first news of trial 1."""

        def append(self, trial: Trial) -> None:
            if trial.number == 1 and 1 not in (other.number for other in self):
                super().append(trial)
                raise KeyboardInterrupt
            super().append(trial)

    told = Lost()
    with pytest.raises(KeyboardInterrupt):
        search(url, told=told)
    calls: list[int] = []
    outcome = search(url, evaluate=_noting(calls), told=told)
    assert calls == [2, 3, 4]
    assert [trial.number for trial in told] == [0, 1, 1, 2, 3, 4]
    assert len(outcome.trials) == 5


def test_a_proposal_that_was_stored_is_not_proposed_again(url: str, search: Runner, open_study: Opener) -> None:
    """The process dies after the study has the trial and before the checkpoint has its number."""
    with open_study(url, holder="dead") as study:
        study.ask(Draft(params={"rate": 0.02, "depth": 3}, proposed_by="default", why=""))
    outcome = search(url)
    assert outcome.trials[0].params["rate"] == 0.02
    assert [trial.number for trial in outcome.trials] == [0, 1, 2, 3, 4]


def test_a_budget_beyond_the_policy_is_refused_before_anything_runs(
    url: str, search: Runner, limits: BuilderLimits
) -> None:
    with pytest.raises(ConfigError, match="A budget of 5 trials is more than the 4 evaluations"):
        search(url, limits=limits.model_copy(update={"tools": {"evaluate": 4}}), evaluate=_never)
    with pytest.raises(ConfigError, match="more than the 0 evaluations"):
        search(url, limits=limits.model_copy(update={"tools": {"delete": 100}}), evaluate=_never)


def test_what_is_checkpointed_is_json(url: str, search: Runner) -> None:
    search(url)
    with open_saver(url) as saver:
        states = [found.checkpoint["channel_values"] for found in saver.list({"configurable": {"thread_id": "s"}})]
    plain = {type(value) for state in states for value in state.values()}
    assert plain <= {int, str, type(None), dict}


def _never(params: dict[str, Any], number: int) -> NDArray[np.float64]:
    raise AssertionError(f"trial {number} was evaluated")


def _noting(calls: list[int]) -> Evaluate:
    def run(params: dict[str, Any], number: int) -> NDArray[np.float64]:
        calls.append(number)
        return np.random.default_rng(number).normal(size=80)

    return run


def _trial(number: int, value: float | None, *, seconds: float = 1.0) -> Trial:
    state = "failed" if value is None else "complete"
    return Trial(number=number, params={}, state=state, value=value, seconds=seconds, proposed_by="", why="")


@pytest.mark.parametrize(
    ("values", "money", "expected"),
    [
        ([0.5], 0.0, ""),
        ([0.5, 0.6, 0.7, 0.8], 0.0, "trials"),
        ([0.5, None, 0.5], 0.0, "no progress"),
        ([0.5, 0.5, 0.6], 0.0, ""),
        ([1.0], 0.0, "nothing left to gain"),
        ([None, None], 0.0, "no progress"),
        ([0.5], 0.2, "money"),
        ([0.5], 0.1, ""),
        ([], 0.0, ""),
    ],
)
def test_reasons_to_stop(values: list[float | None], money: float, expected: str) -> None:
    trials = [_trial(number, value) for number, value in enumerate(values)]
    proposals = [Proposal(number=0, params={}, proposed_by="", why="", money=money)]
    limits = BuilderLimits(trials=4, seconds=100, money=0.2, patience=2, tools={})
    assert reason_to_stop(trials, proposals=proposals, limits=limits) == expected
