"""When a search has done enough."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from agents.settings import BuilderSettings
from components.core.contracts import Proposal, Record, Trial
from components.core.errors import ConfigError


class BuilderLimits(Record):
    """Bounds of one search, interruptions not counted.

    Attributes:
        trials: Configurations, the default one included.
        seconds: Time of trials and proposals together.
        money: Spent on the language model.
        patience: Trials in a row without a better validation value.
        tools: Tool → calls the graph may make; tools that are not named are refused.
    """

    trials: int = Field(ge=1)
    seconds: float = Field(gt=0)
    money: float = Field(ge=0)
    patience: int = Field(ge=1)
    tools: Mapping[str, int]

    @classmethod
    def of(cls, settings: BuilderSettings, *, trials: int) -> "BuilderLimits":
        """The configured limits for a budget of `trials`."""
        return cls(trials=trials, **settings.model_dump())

    def check(self) -> None:
        """Refuse a budget that the policy would cut short.

        Raises:
            ConfigError: More trials than calls of `evaluate`.
        """
        allowed = self.tools.get("evaluate", 0)
        if self.trials > allowed:
            raise ConfigError(
                f"A budget of {self.trials} trials is more than the {allowed} evaluations the builder may run.",
                hint="Lower the budget, or raise builder.tools.evaluate in agents.yaml.",
            )


def reason_to_stop(trials: Sequence[Trial], *, proposals: Sequence[Proposal], limits: BuilderLimits) -> str:
    """Why a search with this history ends, or ""; `trials` by number."""
    money = sum(proposal.money for proposal in proposals)
    seconds = sum(trial.seconds for trial in trials) + sum(proposal.seconds for proposal in proposals)
    if len(trials) >= limits.trials:
        return "trials"
    if seconds >= limits.seconds:
        return "seconds"
    if money > 0 and money >= limits.money:
        return "money"
    return _no_progress(trials, patience=limits.patience)


def _no_progress(trials: Sequence[Trial], *, patience: int) -> str:
    best, since = float("-inf"), 0
    for trial in trials:
        if trial.value is not None and trial.value > best:
            best, since = trial.value, 0
        else:
            since += 1
    if best >= 1:
        return "nothing left to gain"
    return "no progress" if since >= patience else ""
