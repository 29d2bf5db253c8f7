"""What a search tried, and what it chose."""

from typing import Any, Literal

from .records import Record


class Trial(Record):
    """One tried configuration. `value` is the validation objective (higher is better), `low`/`high` its interval."""

    number: int
    params: dict[str, Any]
    state: Literal["complete", "failed"]
    value: float | None
    low: float | None = None
    high: float | None = None
    seconds: float
    proposed_by: str
    why: str


class Proposal(Record):
    """How one configuration came to be tried: an entry of a search's transcript.

    Attributes:
        number: Of the trial.
        params: The searched parameters.
        answer_sha256: Of a language model's raw answer, "" where none was asked.
        fallback: Why that answer was not used, "" if it was or none was asked.
        money: Spent on the answer.
        seconds: Spent on the proposal.
    """

    number: int
    params: dict[str, Any]
    proposed_by: str
    why: str
    answer_sha256: str = ""
    fallback: str = ""
    money: float = 0.0
    seconds: float = 0.0


class SearchOutcome(Record):
    """Result of a search. `best` is replaced from trial 0 only by one better beyond its bootstrap error.

    `synthetic`: whether drawn anomalies were among those of validation.
    `lent` training samples validated the trials instead of being fitted on; the model that is kept is fitted on them.
    """

    study: str
    best: Trial
    trials: tuple[Trial, ...]
    stopped_by: str
    fallbacks: int = 0
    synthetic: bool = False
    lent: int = 0
    money: float = 0.0
    proposals: tuple[Proposal, ...] = ()
