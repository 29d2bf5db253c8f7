"""Proposals: knowledge first, then TPE; a language model's answers are judged, and the search never depends on them."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from numpy.typing import NDArray

from agents.checkpoints import open_saver
from agents.graphs.builder import BuilderTask, Evaluate, run_builder
from agents.graphs.limits import BuilderLimits
from agents.knowledge.heuristics import Bound, DataFacts, Heuristic
from agents.llm import ChatModel
from agents.proposers import KnowledgeProposer, LanguageModelProposer, make_proposer, parse_answer
from agents.settings import ModelSettings, Price
from components.core.contracts import SearchOutcome
from components.core.hashing import sha256_bytes
from components.search.attempts import Draft
from components.search.portfolio import Portfolio
from components.search.study import Study

Opener = Callable[..., Study]

HEURISTICS = (
    Heuristic(id="other", when={"features": Bound(at_least=9)}, params={"depth": 9}, why="", source=""),
    Heuristic(
        id="deep", when={"features": Bound(at_most=8)}, params={"depth": 7}, why="few features", source="Us 2020"
    ),
    Heuristic(id="odd", params={"depth": 99}, why="out of range", source="Nobody"),
    Heuristic(id="same", params={"depth": 3}, why="the default again", source="Nobody"),
)


@pytest.fixture
def search(
    url: str,
    open_study: Opener,
    facts: DataFacts,
    labels: NDArray[np.int8],
    limits: BuilderLimits,
    evaluate: Evaluate,
) -> Callable[..., SearchOutcome]:
    """A search of five trials whose proposer gets these answers."""

    def run(*answers: str | AIMessage, limits: BuilderLimits = limits, **settings: Any) -> SearchOutcome:
        messages = [AIMessage(answer) if isinstance(answer, str) else answer for answer in answers]
        model = ChatModel(
            ModelSettings(provider="scripted", answers=("",), **settings),
            model=FakeMessagesListChatModel(responses=list(messages)),
        )
        with open_saver(url) as saver, open_study(url) as study:
            return run_builder(
                BuilderTask(facts=facts, labels=labels),
                study=study,
                evaluate=evaluate,
                proposer=LanguageModelProposer(model, base=KnowledgeProposer(HEURISTICS)),
                saver=saver,
                limits=limits,
                on_trial=lambda _: None,
            )

    return run


def answer(why: str = "larger is better", **params: Any) -> str:
    return json.dumps({"params": params, "why": why})


def test_knowledge_that_fits_goes_before_tpe(url: str, open_study: Opener, facts: DataFacts) -> None:
    study = open_study(url)
    proposer = KnowledgeProposer(HEURISTICS)
    drafts = []
    for _ in range(3):
        draft = proposer.propose(study, facts=facts)
        assert draft is not None
        drafts.append(draft)
        asked = study.ask(draft)
        study.tell(asked, value=0.5, low=0, high=1, seconds=0)
    assert drafts[0].proposed_by == "knowledge:deep"
    assert drafts[0].params == {"rate": 0.01, "depth": 7}
    assert drafts[0].why == "few features (Us 2020)"
    assert drafts[1].proposed_by == "knowledge:same"
    assert drafts[2].proposed_by == "tpe"


def test_detectors_take_turns_and_the_better_one_by_its_defaults_begins(
    url: str, open_study: Opener, facts: DataFacts
) -> None:
    one = open_study(url)
    space, owner = one.space, one._owner
    spaces = tuple(space.model_copy(update={"detector": name}) for name in ("toy", "better", "failing"))
    heuristics = tuple(
        Heuristic(id=f"depth-{depth}", detector=name, params={"depth": depth}, why="", source="")
        for name in ("toy", "better", "failing")
        for depth in (5, 6)
    )
    found = []
    with Study.open(url, name="t", space=Portfolio(spaces=spaces), seed=0, owner=owner) as study:
        study.ask(Draft(params=study.space.defaults(), proposed_by="default", why=""))
        study.tell(study.claim(0), value=0.5, low=0, high=1, seconds=0)
        while not found or found[-1].proposed_by != "tpe":
            draft = KnowledgeProposer(heuristics).propose(study, facts=facts)
            assert draft is not None
            found.append(draft)
            asked = study.ask(draft)
            if draft.params["detector"] == "failing":
                study.fail(asked, reason="", seconds=0)
            else:
                study.tell(asked, value=0.6 if draft.params["detector"] == "better" else 0.9, low=0, high=1, seconds=0)
    assert [draft.proposed_by for draft in found[2:-1]] == [
        "knowledge:better:depth-5",
        "knowledge:depth-5",
        "knowledge:failing:depth-5",
    ]


def test_what_a_detector_begins_with_takes_the_place_of_its_defaults(
    url: str, open_study: Opener, facts: DataFacts
) -> None:
    one = open_study(url)
    spaces = tuple(one.space.model_copy(update={"detector": name}) for name in ("toy", "other", "plain"))
    heuristics = tuple(
        Heuristic(id=f"depth-{depth}", detector=name, params={"depth": depth}, why="", source="", begins=depth == 6)
        for name in ("toy", "other")
        for depth in (5, 6)
    )
    proposer, found = KnowledgeProposer(heuristics), []
    with Study.open(url, name="t", space=Portfolio(spaces=spaces), seed=0, owner=one._owner) as study:
        while not found or found[-1].proposed_by != "tpe":
            draft = proposer.propose(study, facts=facts) if found else proposer.begin(study, facts=facts)
            assert draft is not None
            found.append(draft)
            value = 0.9 if draft.params["detector"] == "other" else 0.5
            study.tell(study.ask(draft), value=value, low=0, high=1, seconds=0)
    assert [(draft.params["detector"], draft.params["depth"], draft.proposed_by) for draft in found[:-1]] == [
        ("toy", 6, "knowledge:depth-6"),
        ("other", 6, "knowledge:other:depth-6"),
        ("plain", 3, "knowledge"),
        ("toy", 3, "knowledge"),
        ("other", 5, "knowledge:other:depth-5"),
        ("toy", 5, "knowledge:depth-5"),
    ]


def test_what_is_pinned_otherwise_leaves_a_search_to_begin_with_its_defaults(
    url: str, open_study: Opener, facts: DataFacts
) -> None:
    study = open_study(url)
    heuristic = Heuristic(id="both", params={"depth": 6, "rate": 0.1}, why="", source="", begins=True)
    assert KnowledgeProposer((heuristic,)).begin(study, facts=facts).params == {"depth": 6, "rate": 0.1}
    with Study.open(url, name="t", space=study.space.pin({"depth": 5}), seed=0, owner=study._owner) as pinned:
        draft = KnowledgeProposer((heuristic,)).begin(pinned, facts=facts)
    assert (draft.params, draft.proposed_by) == ({"rate": 0.01}, "default")


def test_pinned_parameters_are_left_out_of_knowledge(url: str, open_study: Opener, facts: DataFacts) -> None:
    study = open_study(url)
    study = Study.open(url, name="t", space=study.space.pin({"depth": 5}), seed=0, owner=study._owner)
    draft = KnowledgeProposer(HEURISTICS).propose(study, facts=facts)
    study.close()
    assert draft is not None
    assert draft.params == {"rate": 0.01}


def test_good_answers_are_tried(search: Callable[..., SearchOutcome]) -> None:
    texts = [answer(rate=0.1 * n, depth=n) for n in range(1, 5)]
    outcome = search(*texts)
    assert [trial.params["depth"] for trial in outcome.trials] == [3, 1, 2, 3, 4]
    assert {trial.proposed_by for trial in outcome.trials[1:]} == {"scripted"}
    assert outcome.trials[1].why == "larger is better"
    assert outcome.fallbacks == 0
    assert [p.answer_sha256 for p in outcome.proposals] == ["", *(sha256_bytes(text.encode()) for text in texts)]


HOSTILE = {
    "prose": "I would try a larger rate.",
    "empty": "",
    "two objects": answer(rate=0.1, depth=1) + answer(rate=0.2, depth=1),
    "text around": "Sure! " + answer(rate=0.1, depth=1),
    "array": "[1, 2]",
    "null": "null",
    "other fields": json.dumps({"params": {"rate": 0.1, "depth": 1}, "tool": "delete_everything"}),
    "no params": '{"why": "because"}',
    "params as text": '{"params": "rate=0.1"}',
    "unknown parameter": answer(rate=0.1, depth=1, epochs=5),
    "missing parameter": answer(rate=0.1),
    "out of range": answer(rate=5, depth=1),
    "wrong type": answer(rate="0.1", depth=1),
    "bool for int": answer(rate=0.1, depth=True),
    "NaN": '{"params": {"rate": NaN, "depth": 1}}',
    "infinity": '{"params": {"rate": 1e999, "depth": 1}}',
    "endless digits": '{"params": {"rate": 0.1, "depth": ' + "9" * 5000 + "}}",
    "repeated key": '{"params": {"rate": 0.1, "rate": 0.2, "depth": 1}}',
    "deep": "[" * 7000,
    "deep object": '{"params":' * 700 + "1" + "}" * 700,
    "too long": answer(rate=0.1, depth=1) + " " * 9000,
    "long why": answer("x" * 5000, rate=0.1, depth=1),
    "the default again": answer(rate=0.01, depth=3),
    "half a character": '{"params": {"rate": 0.1, "depth": "\\ud800"}}',
    "half a character in why": '{"params": {"rate": 0.1, "depth": 1}, "why": "\\ud800"}',
    "code": "__import__('os').system('rm -rf /')",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_bad_answers_cost_nothing_but_are_counted(search: Callable[..., SearchOutcome], text: str) -> None:
    outcome = search(text, limits=_two_trials())
    assert outcome.fallbacks == 1
    assert outcome.trials[1].proposed_by == "knowledge:deep"
    assert outcome.trials[1].state == "complete"
    assert 0 < len(outcome.proposals[1].fallback) <= 300


def _two_trials() -> BuilderLimits:
    return BuilderLimits(trials=2, seconds=600, money=1, patience=99, tools={"evaluate": 2})


def test_all_bad_answers_give_the_search_without_a_model(
    search: Callable[..., SearchOutcome], tmp_path: Any, open_study: Opener, facts: DataFacts
) -> None:
    outcome = search(*(text for text in HOSTILE.values()))
    assert outcome.fallbacks == 4
    assert len(outcome.trials) == 5
    plain, alone = open_study(f"sqlite:///{tmp_path / 'plain.db'}"), KnowledgeProposer(HEURISTICS)
    for trial in outcome.trials:
        draft = alone.propose(plain, facts=facts) if plain.next_number else _default(plain)
        assert draft is not None
        assert (draft.params, draft.proposed_by) == (trial.params, trial.proposed_by)
        plain.tell(plain.ask(draft), value=trial.value or 0, low=0, high=1, seconds=0)


def _default(study: Study) -> Any:
    from components.search.attempts import Draft

    return Draft(params=study.space.defaults(), proposed_by="default", why="")


def test_what_a_model_says_of_itself_is_made_printable(search: Callable[..., SearchOutcome]) -> None:
    why = "a\x00b\u202ec\x1b[31m\n e"
    outcome = search(answer(why, rate=0.1, depth=1), limits=_two_trials())
    assert outcome.trials[1].why == "a b c [31m e"
    assert outcome.fallbacks == 0


def test_tool_calls_of_the_model_are_not_followed(search: Callable[..., SearchOutcome]) -> None:
    call = AIMessage("", tool_calls=[{"name": "approve", "args": {"version": 1}, "id": "1"}])
    outcome = search(call, limits=_two_trials())
    assert (outcome.fallbacks, len(outcome.trials)) == (1, 2)


def test_money_ends_the_search(search: Callable[..., SearchOutcome], limits: BuilderLimits) -> None:
    priced = [
        AIMessage(
            answer(rate=0.1 * n, depth=n),
            usage_metadata={"input_tokens": 100_000, "output_tokens": 10_000, "total_tokens": 110_000},
        )
        for n in range(1, 5)
    ]
    outcome = search(*priced, price=Price(input=2.0, output=20.0), limits=limits.model_copy(update={"money": 0.5}))
    assert outcome.stopped_by == "money"
    assert outcome.money == pytest.approx(0.8)
    assert len(outcome.trials) == 3


def test_bad_answers_cost_their_money_too(search: Callable[..., SearchOutcome]) -> None:
    outcome = search("no", price=Price(input=1e6, output=0.0), limits=_two_trials())
    assert outcome.fallbacks == 1
    assert outcome.money > 100


def test_a_model_that_hangs_is_given_up(search: Callable[..., SearchOutcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeMessagesListChatModel, "_generate", lambda *_, **__: time.sleep(60))
    started = time.monotonic()
    outcome = search("", timeout=0.2)
    assert time.monotonic() - started < 15
    assert outcome.fallbacks == 4
    assert "did not answer within 0.2 s" in outcome.proposals[1].fallback
    assert "not asked again" in outcome.proposals[4].fallback


def test_a_model_that_raises_is_given_up(search: Callable[..., SearchOutcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ConnectionError("key sk-secret refused")

    monkeypatch.setattr(FakeMessagesListChatModel, "_generate", fails)
    outcome = search("", limits=_two_trials())
    assert outcome.proposals[1].fallback == "scripted failed: ConnectionError"


def test_detectors_are_tried_by_their_defaults_and_knowledge_is_behind_a_model_that_raises(
    url: str, open_study: Opener, facts: DataFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fails(*_: object, **__: object) -> None:
        asked.append(study.next_number)
        raise ConnectionError

    monkeypatch.setattr(FakeListChatModel, "_generate", fails)
    one = open_study(url)
    spaces = tuple(one.space.model_copy(update={"detector": name}) for name in ("toy", "other", "third"))
    model = ChatModel(ModelSettings(provider="scripted", answers=("",)), model=FakeListChatModel(responses=["x"]))
    heuristics = tuple(heuristic.model_copy(update={"detector": "other"}) for heuristic in HEURISTICS)
    proposer = LanguageModelProposer(model, base=KnowledgeProposer(heuristics))
    with Study.open(url, name="t", space=Portfolio(spaces=spaces), seed=0, owner=one._owner) as study:
        study.ask(_default(study))
        study.tell(study.claim(0), value=0.5, low=0, high=1, seconds=0)
        while study.next_number < 5:
            draft = proposer.propose(study, facts=facts)
            assert draft is not None
            study.tell(study.ask(draft), value=0.5, low=0, high=1, seconds=0)
        found = study.proposals()[1:]
    assert [proposal.proposed_by for proposal in found] == ["knowledge", "knowledge", "knowledge:other:deep", "tpe"]
    assert [proposal.params["detector"] for proposal in found[:2]] == ["other", "third"]
    assert [bool(proposal.fallback) for proposal in found] == [False, False, True, True]
    assert asked == [3, 4]


def test_the_prompt_holds_schema_facts_knowledge_and_history_alone(
    url: str, open_study: Opener, facts: DataFacts
) -> None:
    study = open_study(url)
    asked = study.ask(_default(study))
    study.tell(asked, value=0.625, low=0.5, high=0.75, seconds=0, scores=[0.123456])
    model = ChatModel(ModelSettings(), model=FakeListChatModel(responses=[""]))
    prompt = LanguageModelProposer(model, base=KnowledgeProposer(HEURISTICS))._prompt(study, facts)
    parts = dict(line.split(": ", 1) for line in prompt.splitlines())
    assert list(parts) == ["schema of params", "defaults", "data", "knowledge", "tried"]
    assert json.loads(parts["tried"]) == [
        {"params": {"rate": 0.01, "depth": 3}, "state": "complete", "value": 0.625, "low": 0.5, "high": 0.75}
    ]
    assert "0.123456" not in prompt
    assert set(json.loads(parts["data"])) == {
        "modality", "train_samples", "train_anomalies", "validation_samples", "synthetic", "features",
    }  # fmt: skip


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "```\n{}\n```", "\n  {}  \n"])
def test_a_fence_around_the_answer_is_taken_off(fence: str) -> None:
    assert parse_answer(fence.replace("{}", answer(rate=1))).params == {"rate": 1}


def test_a_space_without_free_parameters_asks_nobody(url: str, open_study: Opener, facts: DataFacts) -> None:
    study = open_study(url)
    pinned = Study.open(url, name="t", space=study.space.pin(study.space.defaults()), seed=0, owner=study._owner)
    model = ChatModel(ModelSettings(), model=FakeListChatModel(responses=["x"]))
    assert LanguageModelProposer(model, base=KnowledgeProposer(())).propose(pinned, facts=facts) is None
    pinned.close()


def test_the_proposer_has_a_model_only_when_there_is_one() -> None:
    assert isinstance(make_proposer(("memory-bank",), model=None), KnowledgeProposer)
    model = ChatModel(ModelSettings(), model=FakeListChatModel(responses=["x"]))
    assert isinstance(make_proposer(("memory-bank",), model=model), LanguageModelProposer)
