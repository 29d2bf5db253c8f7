"""The builder: propose → evaluate → reflect → stop, an evaluator-optimizer loop over a persistent study.

What was asked, tried and spent lies in the study; the checkpoint holds the place in the loop. A killed run goes on
where it was: the node that was killed runs again, and a trial that was completed is never evaluated twice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from numpy.typing import NDArray

from agents.graphs.limits import BuilderLimits, reason_to_stop
from agents.knowledge.heuristics import DataFacts
from agents.policy import ToolGuard
from agents.proposers import Proposer, untried_defaults
from components.core.contracts import SearchOutcome, Trial
from components.core.errors import ModelError
from components.core.seeds import derive_seed
from components.search.attempts import AskedTrial, Draft
from components.search.choice import choose
from components.search.objective import objective
from components.search.study import Study

Evaluate = Callable[[dict[str, Any], int], NDArray[np.float64]]
"""Fits a detector of these parameters on training samples and returns its scores ``(N,)`` of the validation samples;
the second argument is the trial's number. After an interruption it is called again with the same."""

OnTrial = Callable[[Trial], None]
"""Told of every completed or failed trial, at least once: after an interruption perhaps again, with the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderTask:
    """What to search for.

    Attributes:
        facts: What the proposer may know of the data.
        labels: ``(N,)`` of the validation samples, 1 anomalous; drawn anomalies included, test samples never.
        groups: ``(N,)`` which of them count as one in an interval; None: each counts.
        lent: Training samples among them; told of with the outcome.
        baselines: Detectors that are tried by their defaults whatever the proposer thinks of them, after trial 0.
    """

    facts: DataFacts
    labels: NDArray[np.int8]
    groups: NDArray[np.str_] | None = None
    lent: int = 0
    baselines: tuple[str, ...] = ()


class BuilderState(TypedDict, total=False):
    """What is checkpointed: the pending trial's number, why the loop ended ("" while it runs), the chosen trial."""

    number: int
    stopped_by: str
    best: int


def run_builder(
    task: BuilderTask,
    *,
    study: Study,
    evaluate: Evaluate,
    proposer: Proposer,
    saver: BaseCheckpointSaver[Any],
    limits: BuilderLimits,
    on_trial: OnTrial,
) -> SearchOutcome:
    """Search until a limit is reached, new or resumed; trial 0 is what the proposer begins with.

    The study's name is the graph's thread. A finished search that is given higher limits goes on.

    Raises:
        ConfigError: `limits` ask for more trials than the policy allows.
        ModelError: Every trial failed.
        NotEnoughDataError: Validation lacks one of the two classes.
        ConflictError: Another process took the trial over.
    """
    limits.check()
    builder = _Builder(task, study=study, evaluate=evaluate, proposer=proposer, limits=limits, on_trial=on_trial)
    graph = builder.graph(saver)
    config: Any = {"configurable": {"thread_id": study.name}, "recursion_limit": 3 * limits.trials + 20}
    unfinished = bool(graph.get_state(config).next)
    # Only "sync" writes each step before the next begins, so that a kill repeats the killed node alone.
    state = graph.invoke(None if unfinished else {"stopped_by": ""}, config, durability="sync")
    return builder.outcome(state)


_Graph = CompiledStateGraph[BuilderState, None, BuilderState, BuilderState]


class _Builder:
    """The nodes, and what they need; nothing of it is checkpointed."""

    def __init__(
        self,
        task: BuilderTask,
        *,
        study: Study,
        evaluate: Evaluate,
        proposer: Proposer,
        limits: BuilderLimits,
        on_trial: OnTrial,
    ) -> None:
        self._task, self._study, self._evaluate_params = task, study, evaluate
        self._proposer, self._limits, self._on_trial = proposer, limits, on_trial
        self._guard = ToolGuard("builder", limits=limits.tools, used={"evaluate": len(study.trials())})

    def graph(self, saver: BaseCheckpointSaver[Any]) -> _Graph:
        """The compiled graph."""
        graph = StateGraph(BuilderState)
        graph.add_node("propose", lambda _: self.propose())
        graph.add_node("evaluate", self.evaluate)
        graph.add_node("reflect", lambda _: self.reflect())
        graph.add_node("stop", lambda _: self.stop())
        graph.add_edge(START, "reflect")
        graph.add_conditional_edges("propose", lambda state: "stop" if state["stopped_by"] else "evaluate")
        graph.add_edge("evaluate", "reflect")
        graph.add_conditional_edges("reflect", _after_reflect)
        graph.add_edge("stop", END)
        return graph.compile(checkpointer=saver)

    def propose(self) -> BuilderState:
        """Ask for a new trial, or find the one that was asked before the process died."""
        pending = self._study.pending()
        if pending is not None:
            return {"number": pending, "stopped_by": ""}
        draft = self._draft()
        if draft is None:
            return {"stopped_by": "search space exhausted"}
        return {"number": self._study.ask(draft).number, "stopped_by": ""}

    def _draft(self) -> Draft | None:
        if self._study.next_number == 0:
            return self._proposer.begin(self._study, facts=self._task.facts)
        if baseline := untried_defaults(self._study, self._task.baselines, proposed_by="baseline"):
            return baseline
        started = time.perf_counter()
        draft = self._proposer.propose(self._study, facts=self._task.facts)
        return draft and draft.taking(time.perf_counter() - started)

    def evaluate(self, state: BuilderState) -> BuilderState:
        """Evaluate the pending trial unless that was done before the process died."""
        number = state["number"]
        trial = self._study.trial(number) or self._measure(self._study.claim(number))
        self._on_trial(trial)
        return {"number": number}

    def _measure(self, asked: AskedTrial) -> Trial:
        started = time.perf_counter()
        seed = derive_seed(self._study.seed, "objective")
        try:
            with self._study.renewing(asked):
                scores = self._guard.call("evaluate", lambda: self._evaluate_params(asked.params, asked.number))
            value, low, high = objective(scores, self._task.labels, seed=seed, groups=self._task.groups)
        except ModelError as error:
            return self._study.fail(asked, reason=str(error), seconds=time.perf_counter() - started)
        except BaseException:
            self._study.release(asked)
            raise
        seconds = time.perf_counter() - started
        return self._study.tell(asked, value=value, low=low, high=high, seconds=seconds, scores=scores)

    def reflect(self) -> BuilderState:
        """Decide whether another trial is worth it."""
        proposals, trials = self._study.proposals(), self._study.trials()
        return {"stopped_by": reason_to_stop(trials, proposals=proposals, limits=self._limits)}

    def stop(self) -> BuilderState:
        """Choose; the same study always gives the same choice."""
        return {"best": choose(self._study, self._task.labels, groups=self._task.groups).number}

    def outcome(self, state: dict[str, Any]) -> SearchOutcome:
        """The record for the stages after this."""
        trials, proposals = self._study.trials(), self._study.proposals()
        return SearchOutcome(
            study=self._study.name,
            best=next(trial for trial in trials if trial.number == state["best"]),
            trials=trials,
            stopped_by=state["stopped_by"],
            fallbacks=sum(bool(proposal.fallback) for proposal in proposals),
            synthetic=self._task.facts.synthetic,
            lent=self._task.lent,
            money=sum(proposal.money for proposal in proposals),
            proposals=proposals,
        )


def _after_reflect(state: BuilderState) -> Literal["propose", "stop"]:
    return "stop" if state["stopped_by"] else "propose"
