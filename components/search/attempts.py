"""How one attempt at a configuration is written in an Optuna trial: its attributes, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from components.core.contracts import Proposal, Trial
from components.search.portfolio import Space

_NOTE = ("proposed_by", "why", "answer_sha256", "fallback", "money", "seconds_proposing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposed configuration of the free parameters; see `Proposal` for the fields."""

    params: Mapping[str, Any]
    proposed_by: str
    why: str
    answer_sha256: str = ""
    fallback: str = ""
    money: float = 0.0
    seconds: float = 0.0

    def taking(self, seconds: float) -> "Draft":
        """The same, with the time that it took."""
        return replace(self, seconds=seconds)

    def note(self) -> dict[str, Any]:
        """What every attempt at it carries."""
        values = (self.proposed_by, self.why, self.answer_sha256, self.fallback, self.money, self.seconds)
        return dict(zip(_NOTE, values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTrial:
    """A configuration to evaluate.

    Attributes:
        number: Of the configuration, from 0, the default one.
        attempt: Optuna's number of this try of it.
        params: Free and pinned parameters.
        proposed_by: Who proposed it: default, knowledge, tpe, or a language model's name.
        why: Why, in a sentence.
    """

    number: int
    attempt: int
    params: dict[str, Any]
    proposed_by: str
    why: str


def number_of(trial: FrozenTrial) -> int:
    """Number of the configuration that `trial` is an attempt at."""
    return int(trial.user_attrs["number"])


def free_params(trial: FrozenTrial, *, space: Space) -> dict[str, Any]:
    """Its free parameters."""
    return space.of_study(trial.params)


def note_of(trial: FrozenTrial) -> dict[str, Any]:
    """What `Draft.note` gave the first attempt at the configuration."""
    return {name: trial.user_attrs[name] for name in _NOTE}


def is_end(trial: FrozenTrial) -> bool:
    """Whether this attempt settled its configuration; an interrupted one, FAIL without our mark, did not."""
    return trial.state == TrialState.COMPLETE or (trial.state == TrialState.FAIL and "failed" in trial.user_attrs)


def is_end_of(trial: FrozenTrial, *, number: int) -> bool:
    """Whether this attempt settled the configuration `number`."""
    return number_of(trial) == number and is_end(trial)


def reason_of(trial: FrozenTrial) -> str:
    """Why a failed configuration could not be evaluated."""
    return str(trial.user_attrs["failed"]["reason"])


def asked_trial(trial: FrozenTrial, *, space: Space) -> AskedTrial:
    """A running attempt as what is to be evaluated."""
    attrs = trial.user_attrs
    return AskedTrial(
        number=number_of(trial),
        attempt=trial.number,
        params=space.full(free_params(trial, space=space)),
        proposed_by=attrs["proposed_by"],
        why=attrs["why"],
    )


def to_record(trial: FrozenTrial, *, space: Space) -> Trial:
    """A settled attempt as the record that other stages read."""
    attrs, complete = trial.user_attrs, trial.state == TrialState.COMPLETE
    end = attrs["result" if complete else "failed"]
    return Trial(
        number=number_of(trial),
        params=space.full(free_params(trial, space=space)),
        state="complete" if complete else "failed",
        value=trial.value if complete else None,
        low=end.get("low"),
        high=end.get("high"),
        seconds=end["seconds"],
        proposed_by=attrs["proposed_by"],
        why=attrs["why"] if complete else f"{attrs['why']}; failed: {reason_of(trial)}",
    )


def to_proposal(trial: FrozenTrial, *, space: Space) -> Proposal:
    """An attempt as an entry of the transcript."""
    note = note_of(trial)
    seconds = note.pop("seconds_proposing")
    return Proposal(number=number_of(trial), params=free_params(trial, space=space), seconds=seconds, **note)
