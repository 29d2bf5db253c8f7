"""Who proposes the next configuration: knowledge and TPE, or a language model with both behind it."""

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.knowledge.heuristics import DataFacts, Heuristic, load_heuristics
from agents.llm import Answer, ChatModel, ModelFaultError
from components.core.errors import first_problem
from components.core.hashing import canonical_json
from components.search.attempts import Draft
from components.search.study import Study

PRIORS = 3
"""Heuristics tried at most before TPE, so that a budget of eight leaves it half."""

HISTORY = 40
"""Trials shown to a language model at most, the newest."""

PATIENCE_WITH_MODEL = 3
"""Answers in a row that never came, after which a model is not asked again in this run."""

_SYSTEM = """You tune an industrial anomaly detector. Propose ONE configuration to try next.
Answer with one JSON object and nothing else: {"params": {...}, "why": "one short sentence"}.
"params" must satisfy the given JSON schema and must differ from every configuration tried before.
The value to maximise is AUROC on validation, at most 1."""


class Proposer(Protocol):
    """Proposes from a study's history; it evaluates nothing and writes nothing."""

    def begin(self, study: Study, *, facts: DataFacts) -> Draft:
        """What the search begins with and keeps unless others are better beyond their error: trial 0."""
        ...

    def propose(self, study: Study, *, facts: DataFacts) -> Draft | None:
        """A configuration that was not tried yet, None when there is none left."""
        ...


class KnowledgeProposer:
    """Every detector once, heuristics that fit the data, then Optuna's TPE. The same history gives the same proposal.

    A detector is first tried by its defaults, or by what fits the data so surely that it begins with that; the one that
    the search begins with then by its defaults, too. Heuristics come by turns: the first of each detector, the best by
    its first trial first, then the second ones.
    """

    def __init__(self, heuristics: tuple[Heuristic, ...]) -> None:
        self._heuristics = heuristics

    @classmethod
    def of(cls, detectors: Iterable[str]) -> "KnowledgeProposer":
        """With the knowledge base's heuristics for these detectors."""
        return cls(tuple(heuristic for detector in detectors for heuristic in load_heuristics(detector)))

    def fitting(self, facts: DataFacts) -> list[Heuristic]:
        """The heuristics for data like these."""
        return [heuristic for heuristic in self._heuristics if heuristic.fits(facts)]

    def begin(self, study: Study, *, facts: DataFacts) -> Draft:
        """See `Proposer.begin`."""
        first = self._first_of(study, study.space.detectors[0], facts)
        if first.params != study.space.defaults():
            return first
        return replace(first, proposed_by="default", why="what the search begins with, which the others must beat")

    def propose(self, study: Study, *, facts: DataFacts) -> Draft | None:
        """See `Proposer.propose`."""
        return self.untried(study, facts) or self._prior(study, facts) or self.by_tpe(study)

    def untried(self, study: Study, facts: DataFacts) -> Draft | None:
        """The first trial of the next detector that had none, last the defaults of what the search began with."""
        begun, *others = study.space.detectors
        drafts = [self._first_of(study, detector, facts) for detector in others]
        if self.begin(study, facts=facts).params != study.space.defaults():
            drafts.append(_by_defaults(study, begun))
        return next((draft for draft in drafts if not study.was_tried(draft.params)), None)

    def _first_of(self, study: Study, detector: str, facts: DataFacts) -> Draft:
        for heuristic in (heuristic for heuristic in self.fitting(facts) if heuristic.begins):
            draft = self._by_heuristic(study, heuristic)
            # What is pinned otherwise makes it another one, which nothing is known of.
            if (
                draft
                and study.space.detector_of(draft.params) == detector
                and heuristic.params.items() <= draft.params.items()
            ):
                return draft
        return _by_defaults(study, detector)

    def _by_heuristic(self, study: Study, heuristic: Heuristic) -> Draft | None:
        """None where the search space, or what is pinned in it, leaves no room for it."""
        default = study.space.detectors[0]
        detector = heuristic.detector or default
        params = study.space.filled(heuristic.params, detector=detector)
        if study.space.problem(params):
            return None
        name = f"knowledge:{heuristic.id}" if detector == default else f"knowledge:{detector}:{heuristic.id}"
        return Draft(params=params, proposed_by=name, why=f"{heuristic.why} ({heuristic.source})")

    def _prior(self, study: Study, facts: DataFacts) -> Draft | None:
        done = {proposal.proposed_by for proposal in study.proposals()}
        for heuristic in self._by_turns(study, facts)[:PRIORS]:
            draft = self._by_heuristic(study, heuristic)
            if draft and draft.proposed_by not in done and not study.was_tried(draft.params):
                return draft
        return None

    def _by_turns(self, study: Study, facts: DataFacts) -> list[Heuristic]:
        values = {canonical_json(trial.params): trial.value for trial in study.trials() if trial.value is not None}
        turns: dict[str, list[Heuristic]] = {name: [] for name in study.space.detectors}
        for heuristic in (heuristic for heuristic in self.fitting(facts) if not heuristic.begins):
            turns[heuristic.detector or study.space.detectors[0]].append(heuristic)

        def at_first(name: str) -> float:
            first = study.space.full(self._first_of(study, name, facts).params)
            return values.get(canonical_json(first), -math.inf)

        ranked = [turns[name] for name in sorted(turns, key=at_first, reverse=True)]
        return [one for turn in itertools.zip_longest(*ranked) for one in turn if one is not None]

    def by_tpe(self, study: Study) -> Draft | None:
        """TPE's proposal."""
        params = study.suggest()
        why = "greatest expected improvement over the trials so far, or a random start while there are few"
        return None if params is None else Draft(params=params, proposed_by="tpe", why=why)


def untried_defaults(study: Study, detectors: Iterable[str], *, proposed_by: str = "knowledge") -> Draft | None:
    """The default configuration of the first of `detectors` that was not tried yet, None if all were."""
    for detector in detectors:
        draft = _by_defaults(study, detector)
        if not study.was_tried(draft.params):
            return replace(draft, proposed_by=proposed_by)
    return None


def _by_defaults(study: Study, detector: str) -> Draft:
    params = study.space.filled({}, detector=detector)
    why = f"{detector} by its defaults: which detector suits the data matters more than its parameters"
    return Draft(params=params, proposed_by="knowledge", why=why)


class _Proposed(BaseModel):
    """The only answer that is accepted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    params: dict[str, Any]
    why: str = Field("", max_length=1_000)


class LanguageModelProposer:
    """Every detector once as the base begins with it, then a language model proposes.

    Whatever is wrong with its answer, the base proposes instead, and it is counted.
    """

    def __init__(self, model: ChatModel, *, base: KnowledgeProposer) -> None:
        self._model, self._base, self._silent = model, base, 0

    def begin(self, study: Study, *, facts: DataFacts) -> Draft:
        """See `Proposer.begin`."""
        return self._base.begin(study, facts=facts)

    def propose(self, study: Study, *, facts: DataFacts) -> Draft | None:
        """See `Proposer.propose`."""
        if study.space.is_empty:
            return None
        if untried := self._base.untried(study, facts):
            return untried
        if self._silent >= PATIENCE_WITH_MODEL:
            return self._fall_back(
                study, facts, f"the model gave no answer {self._silent} times and is not asked again"
            )
        try:
            schema = _answer_schema(study)
            answer = self._model.ask(system=_SYSTEM, user=self._prompt(study, facts), schema=schema)
        except ModelFaultError as error:
            self._silent += 1
            return self._fall_back(study, facts, str(error), money=error.money)
        self._silent = 0
        return self._judge(study, facts, answer)

    def _judge(self, study: Study, facts: DataFacts, answer: Answer) -> Draft | None:
        try:
            proposed = parse_answer(answer.text)
        except ValueError as error:
            return self._fall_back(study, facts, f"the answer is not what was asked for: {error}", answer=answer)
        if problem := study.space.problem(proposed.params):
            return self._fall_back(study, facts, problem, answer=answer)
        params = study.space.validate_params(proposed.params)
        if study.was_tried(params):
            return self._fall_back(study, facts, "the configuration was tried before", answer=answer)
        return Draft(
            params=params,
            proposed_by=self._model.name,
            why=_printable(proposed.why),
            answer_sha256=answer.sha256,
            money=answer.money,
        )

    def _fall_back(
        self, study: Study, facts: DataFacts, reason: str, *, answer: Answer | None = None, money: float = 0.0
    ) -> Draft | None:
        draft = self._base.propose(study, facts=facts)
        if draft is None:
            return None
        return replace(
            draft,
            answer_sha256=answer.sha256 if answer else "",
            fallback=reason[:300],
            money=answer.money if answer else money,
        )

    def _prompt(self, study: Study, facts: DataFacts) -> str:
        """Schema, defaults, facts, knowledge and validation history; nothing of the test split is within reach."""
        known = [
            {
                "detector": heuristic.detector,
                "params": heuristic.params,
                "why": heuristic.why,
                "source": heuristic.source,
            }
            for heuristic in self._base.fitting(facts)
        ]
        tried = [
            {
                "params": study.space.free(trial.params),
                "state": trial.state,
                "value": trial.value,
                "low": trial.low,
                "high": trial.high,
            }
            for trial in study.trials()[-HISTORY:]
        ]
        parts = {
            "schema of params": study.space.json_schema(),
            "defaults": study.space.defaults(),
            "data": facts.model_dump(mode="json", exclude_none=True),
            "knowledge": known,
            "tried": tried,
        }
        return "\n".join(f"{name}: {canonical_json(part)}" for name, part in parts.items())


def parse_answer(text: str) -> _Proposed:
    """The one JSON object that `text` is, perhaps within a Markdown fence; nothing else around it.

    Raises:
        ValueError: It is not JSON, repeats a key, holds NaN or infinity, or has other fields.
    """
    body = text.strip()
    if body.startswith("```") and body.endswith("```") and "\n" in body:
        body = body[body.index("\n") : -3]
    try:
        found = json.loads(body, parse_constant=_refuse, object_pairs_hook=_without_repeats)
        return _Proposed.model_validate(found)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValidationError as error:
        raise ValueError(first_problem(error)[:200]) from error


def _answer_schema(study: Study) -> dict[str, Any]:
    """JSON schema of the whole answer."""
    return {
        "type": "object",
        "properties": {"params": study.space.json_schema(), "why": {"type": "string"}},
        "required": ["params", "why"],
        "additionalProperties": False,
    }


def _printable(text: str) -> str:
    """One line without control, direction and broken characters: it is shown to people and stored in many places."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def make_proposer(detectors: Iterable[str], *, model: ChatModel | None) -> Proposer:
    """The proposer for a search over `detectors`: with the language model if there is one."""
    base = KnowledgeProposer.of(detectors)
    return base if model is None else LanguageModelProposer(model, base=base)
