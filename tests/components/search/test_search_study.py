"""A study survives what happens to the processes that work on it."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from components.core.errors import ConfigError, ConflictError, UnavailableError
from components.search.attempts import AskedTrial, Draft
from components.search.lease import Owner
from components.search.portfolio import Portfolio
from components.search.space import SearchSpace
from components.search.study import ATTEMPTS, Study
from components.testing.databases import drop_tables

Opener = Callable[..., Study]


def draft(params: dict[str, Any] | None) -> Draft:
    assert params is not None
    return Draft(params=params, proposed_by="tpe", why="because", answer_sha256="ab", fallback="", money=0.5, seconds=2)


def value_of(trial: AskedTrial) -> float:
    return 1 - abs(trial.params["rate"] - 0.3)


def tell(study: Study, trial: AskedTrial) -> None:
    study.tell(trial, value=value_of(trial), low=0.1, high=0.9, seconds=1.5, scores=[0.1, 1 / 3])


def step(study: Study) -> None:
    params = study.space.defaults() if study.next_number == 0 else study.suggest()
    tell(study, study.ask(draft(params)))


def states(url: str) -> list[TrialState]:
    return [trial.state for trial in optuna_trials(url)]


def optuna_trials(url: str) -> list[optuna.trial.FrozenTrial]:
    """What Optuna itself says."""
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="s", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return trials


def test_what_is_told_is_read_back_by_another_process(any_url: str, open_study: Opener) -> None:
    for _ in range(3):
        step(open_study(any_url))
    trials = open_study(any_url).trials()
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert trials[0].params == {"rate": 0.01, "depth": 3, "stages": "2-3"}
    assert (trials[0].value, trials[0].low, trials[0].high, trials[0].seconds) == (1 - 0.29, 0.1, 0.9, 1.5)
    assert open_study(any_url).scores(1).tolist() == [0.1, 1 / 3]
    assert open_study(any_url).proposals()[2].money == 0.5


def test_a_resumed_search_proposes_what_an_uninterrupted_one_would(any_url: str, url: str, open_study: Opener) -> None:
    whole = open_study(url)
    for _ in range(6):
        step(whole)
    study = open_study(any_url, holder="dead")
    for number in range(6):
        params = study.space.defaults() if number == 0 else study.suggest()
        asked = study.ask(draft(params))
        if number in (0, 4):  # the process dies
            study = open_study(any_url, holder="dead" if number == 0 else "me")
            asked = study.claim(number)
        tell(study, asked)
    assert [trial.params for trial in study.trials()] == [trial.params for trial in whole.trials()]
    assert [trial.number for trial in study.trials()] == list(range(6))
    assert TrialState.RUNNING not in states(any_url)


def test_a_dead_holders_trial_is_failed_and_pending_with_its_number(url: str, open_study: Opener) -> None:
    study = open_study(url, holder="dead")
    asked = study.ask(draft(study.space.defaults()))
    resumed = open_study(url)
    assert states(url) == [TrialState.FAIL]
    assert resumed.trials() == ()
    assert resumed.pending() == 0
    again = resumed.claim(0)
    assert (again.number, again.attempt, again.params) == (0, 1, asked.params)
    tell(resumed, again)
    assert resumed.pending() is None
    assert len(resumed.proposals()) == 1


def test_a_result_that_comes_after_the_lease_is_refused(url: str, open_study: Opener) -> None:
    late = open_study(url, holder="dead")
    asked = late.ask(draft(late.space.defaults()))
    open_study(url)
    with pytest.raises(ConflictError, match="Trial 0 of study s was taken over"):
        tell(late, asked)
    with pytest.raises(ConflictError, match="taken over"):
        late.release(asked)


def test_a_silent_holder_elsewhere_is_waited_for_and_then_failed(url: str, open_study: Opener) -> None:
    study = open_study(url, holder="elsewhere", ttl=1.0)
    study.ask(draft(study.space.defaults()))
    started = time.monotonic()
    assert open_study(url).pending() == 0
    assert 0.3 < time.monotonic() - started < 5


def test_a_holder_that_renews_its_lease_is_left_alone(url: str, open_study: Opener) -> None:
    study = open_study(url, holder="elsewhere", ttl=1.5)
    asked = study.ask(draft(study.space.defaults()))
    with study.renewing(asked), pytest.raises(ConflictError, match="being evaluated by elsewhere"):
        open_study(url)
    tell(study, asked)


def test_a_lease_is_renewed_while_the_block_runs(any_url: str, open_study: Opener) -> None:
    study = open_study(any_url, ttl=0.3)
    asked = study.ask(draft(study.space.defaults()))

    def until() -> float:
        return float(optuna_trials(any_url)[0].user_attrs["lease"]["until"])

    before = until()
    with study.renewing(asked):
        time.sleep(1.0)
    assert until() > before + 0.5
    assert not [thread for thread in threading.enumerate() if thread.name == "trial-lease"]


def test_only_one_of_two_processes_gets_a_trial(url: str, open_study: Opener) -> None:
    first, second = open_study(url), open_study(url, holder="other")
    asked = first.ask(draft(first.space.defaults()))
    with pytest.raises(ConflictError, match="being evaluated by me"):
        second.ask(draft({**second.space.defaults(), "depth": 5}))
    with pytest.raises(ConflictError, match="being evaluated by me"):
        second.claim(0)
    tell(first, asked)
    assert [trial.number for trial in first.trials()] == [0]


def test_a_configuration_that_keeps_killing_us_fails_in_the_end_but_never_the_default(
    url: str, open_study: Opener
) -> None:
    for attempt in range(ATTEMPTS + 2):
        study = open_study(url, holder=f"dead{attempt}")
        _ = study.ask(draft(study.space.defaults())) if attempt == 0 else study.claim(0)
    study = open_study(url)
    tell(study, study.claim(0))
    for attempt in range(ATTEMPTS):
        study = open_study(url, holder=f"dead{attempt}")
        _ = study.ask(draft(study.suggest())) if attempt == 0 else study.claim(1)
    study = open_study(url)
    assert study.pending() is None
    assert study.trials()[1].state == "failed"
    assert "interrupted 3 times" in study.trials()[1].why


def test_the_first_of_several_detectors_is_given_up_like_any_other(
    url: str, open_study: Opener, space: SearchSpace
) -> None:
    two = Portfolio(spaces=tuple(space.model_copy(update={"detector": name}) for name in ("large", "small")))
    for attempt in range(ATTEMPTS):
        study = open_study(url, holder=f"dead{attempt}", space=two)
        _ = study.ask(draft(two.defaults())) if attempt == 0 else study.claim(0)
    study = open_study(url, space=two)
    assert study.pending() is None
    assert study.trials()[0].state == "failed"


def test_failed_and_completed_configurations_are_not_asked_again(url: str, open_study: Opener) -> None:
    study = open_study(url)
    defaults = study.space.defaults()
    failed = study.fail(study.ask(draft(defaults)), reason="out of memory", seconds=0.5)
    assert (failed.state, failed.value, failed.why) == ("failed", None, "because; failed: out of memory")
    assert study.was_tried(defaults)
    with pytest.raises(ConflictError, match="before"):
        study.ask(draft(defaults))
    with pytest.raises(ConflictError, match="Trial 0 of study s is not pending"):
        study.claim(0)


def test_a_released_trial_is_pending_again(url: str, open_study: Opener) -> None:
    study = open_study(url)
    study.release(study.ask(draft(study.space.defaults())))
    assert study.pending() == 0
    tell(study, study.claim(0))


def test_suggestions_never_repeat_and_end_with_the_space(url: str, open_study: Opener, space: SearchSpace) -> None:
    small = space.pin({"rate": 0.1}).model_copy()
    study = open_study(url, space=small)
    for _ in range(18):
        step_on_small(study)
    assert study.suggest() is None
    assert len({tuple(trial.params.items()) for trial in study.trials()}) == 18
    assert all(trial.params["rate"] == 0.1 for trial in study.trials())


def step_on_small(study: Study) -> None:
    asked = study.ask(draft(study.space.defaults() if study.next_number == 0 else study.suggest()))
    study.tell(asked, value=asked.params["depth"] / 9, low=0, high=1, seconds=0)


def test_a_space_without_free_parameters_has_one_configuration(
    url: str, open_study: Opener, space: SearchSpace
) -> None:
    study = open_study(url, space=space.pin(space.defaults()))
    tell(study, study.ask(draft({})))
    assert study.suggest() is None


def test_tpe_learns(url: str, open_study: Opener) -> None:
    study = open_study(url)
    for _ in range(25):
        step(study)
    values = [trial.value or 0 for trial in study.trials()]
    assert max(values[5:]) > 0.95
    assert sum(values[15:]) / 10 > sum(values[:10]) / 10


@pytest.mark.parametrize("seed", [8, 7])
def test_a_study_of_another_question_is_not_continued(
    url: str, open_study: Opener, space: SearchSpace, seed: int
) -> None:
    open_study(url)
    other = space if seed == 8 else space.pin({"rate": 0.5})
    with pytest.raises(ConflictError, match="another search space, pinned parameters or seed"):
        open_study(url, seed=seed, space=other)


def test_parameters_outside_the_space_are_not_asked(url: str, open_study: Opener) -> None:
    study = open_study(url)
    with pytest.raises(ConfigError, match="rate must lie in"):
        study.ask(draft({**study.space.defaults(), "rate": 3.0}))
    assert study.trials() == ()


def test_many_scores_fit(any_url: str, open_study: Opener) -> None:
    study = open_study(any_url)
    scores = [number / 7 for number in range(30_000)]
    study.tell(study.ask(draft(study.space.defaults())), value=0.5, low=0, high=1, seconds=0, scores=scores)
    assert study.scores(0).tolist() == scores


def test_a_database_that_does_not_answer_is_named(space: SearchSpace) -> None:
    owner = Owner(holder="me", is_gone=lambda _: False)
    url = "postgresql+psycopg://u:secret@127.0.0.1:1/none"
    with pytest.raises(UnavailableError, match=r"u:\*\*\*@127.0.0.1:1/none does not answer") as caught:
        Study.open(url, name="s", space=space, seed=0, owner=owner)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_gone_within_a_search_is_named(any_url: str, space: SearchSpace) -> None:
    def search() -> None:
        with Study.open(any_url, name="s", space=space, seed=0, owner=owner) as study:
            step(study)
            drop_tables(any_url)
            step(study)

    owner = Owner(holder="me", is_gone=lambda _: False)
    shown = re.escape(make_url(any_url).render_as_string(hide_password=True))
    with pytest.raises(UnavailableError, match=rf"The database {shown} does not answer: .*(studies|trials)"):
        search()


def test_lines_search_one_database_at_once(any_url: str, space: SearchSpace) -> None:
    """Four searches, from the making of the tables on."""

    def search(name: str) -> int:
        owner = Owner(holder=name, is_gone=lambda _: False)
        with Study.open(any_url, name=name, space=space, seed=1, owner=owner) as study:
            for _ in range(4):
                step(study)
            return len(study.trials())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(search, ["a", "b", "c", "d"])) == [4, 4, 4, 4]
