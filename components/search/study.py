"""A search's memory: an Optuna study in the records database, asked and told by us, safe to kill at any point.

A trial's number counts configurations; a configuration whose evaluation was interrupted keeps its number and is
tried again. Optuna sees each attempt as a trial of its own: interrupted ones are told FAIL.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Self

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from components.core.contracts import Proposal, Trial
from components.core.errors import ConflictError
from components.core.hashing import canonical_json, sha256_json
from components.search.attempts import (
    AskedTrial,
    Draft,
    asked_trial,
    free_params,
    is_end,
    is_end_of,
    note_of,
    number_of,
    reason_of,
    to_proposal,
    to_record,
)
from components.search.lease import Lease, Owner, busy_trial, lost_trial, renewing
from components.search.portfolio import Space
from components.search.space import Value
from components.search.storage import answering, open_storage, pack_scores, unpack_scores
from components.search.tpe import draws, to_study

ATTEMPTS = 3
"""Interruptions after which a configuration counts as failed: it may be what kills us. The default one of a search over
one detector does not: there is no other to fall back on."""

_POLL = 0.2
"""Seconds between two looks at a lease that somebody else may renew."""


class Study:
    """One search of one line. Make it with `Study.open`, end it with `close`.

    As a context it tells what its block meets of a database that is gone as `UnavailableError`.
    """

    def __init__(
        self, study: optuna.Study, storage: optuna.storages.RDBStorage, *, space: Space, seed: int, owner: Owner
    ) -> None:
        self._study, self._storage, self._owner = study, storage, owner
        self._exit = ExitStack()
        self.space, self.seed, self.name = space, seed, str(study.study_name)

    @classmethod
    def open(cls, url: str, *, name: str, space: Space, seed: int, owner: Owner) -> Self:
        """The study `name` in the database at `url`, new or resumed; trials that belong to nobody are told FAIL.

        Raises:
            ConflictError: Another process works on a trial of it, or it was begun with another space or seed.
            UnavailableError: The database does not answer.
        """
        storage = open_storage(url)
        try:
            with answering(url):
                study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
                opened = cls(study, storage, space=space, seed=seed, owner=owner)
                opened._check_identity()
                opened._recover()
        except BaseException:
            storage.engine.dispose()
            raise
        return opened

    def close(self) -> None:
        """Give the database's connections back."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def __enter__(self) -> Self:
        self._exit.enter_context(answering(self._storage.url))
        self._exit.callback(self.close)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._exit.__exit__(*raised)

    # ---------------------------------------------------------------------------------------- asking

    def suggest(self) -> dict[str, Value] | None:
        """Free parameters that TPE proposes next and that were not tried; None when it finds no new ones.

        The proposal depends on the seed, the next number and the completed trials alone, so that a resumed search
        proposes what the uninterrupted one would have.
        """
        trials = self._all()
        proposed = draws(self._study, self.space, seed=self.seed, number=_next_number(trials))
        return next((params for params in proposed if not _is_among(params, trials, space=self.space)), None)

    @property
    def next_number(self) -> int:
        """Number of the next new configuration."""
        return _next_number(self._all())

    def was_tried(self, params: Mapping[str, Any]) -> bool:
        """Whether these free parameters were asked before."""
        return _is_among(params, self._all(), space=self.space)

    def ask(self, draft: Draft) -> AskedTrial:
        """A new trial of the free parameters that `draft` proposes, leased to this process.

        Raises:
            ConfigError: They are not in the search space.
            ConflictError: They were tried before, or another process asked at the same time.
        """
        params = self.space.validate_params(draft.params)
        trials = self._all()
        if _is_among(params, trials, space=self.space):
            raise ConflictError(f"Study {self.name} tried {params} before.", hint="Propose something new.")
        return self._start(_next_number(trials), params, note=draft.note())

    def pending(self) -> int | None:
        """Number of the configuration that was asked and neither completed nor failed; None if there is none."""
        trials = self._all()
        ended = {number_of(trial) for trial in trials if is_end(trial)}
        return min((number_of(trial) for trial in trials if number_of(trial) not in ended), default=None)

    def claim(self, number: int) -> AskedTrial:
        """The pending trial `number`, leased to this process; tried again if its last attempt was interrupted.

        Raises:
            ConflictError: It is not pending, or another process works on it.
        """
        attempts = [trial for trial in self._all() if number_of(trial) == number]
        if not attempts or any(is_end(trial) for trial in attempts):
            raise ConflictError(f"Trial {number} of study {self.name} is not pending.", hint="Ask for a new one.")
        last = attempts[-1]
        if last.state == TrialState.RUNNING:
            lease = Lease.read(last.user_attrs)
            if lease is None or lease.holder != self._owner.holder:
                raise busy_trial(self.name, number, lease=lease)
            return asked_trial(last, space=self.space)
        return self._start(number, free_params(last, space=self.space), note=note_of(last))

    # --------------------------------------------------------------------------------------- telling

    def renewing(self, trial: AskedTrial) -> AbstractContextManager[None]:
        """Keep this process's lease on `trial` while the block runs."""

        def write() -> None:
            with answering(self._storage.url):
                self._set(trial, lease=self._owner.lease().model_dump())
                self._storage.remove_session()

        return renewing(write, ttl=self._owner.ttl)

    def tell(
        self,
        trial: AskedTrial,
        *,
        value: float,
        low: float,
        high: float,
        seconds: float,
        scores: Sequence[float] | NDArray[np.float64] = (),
    ) -> Trial:
        """Store a completed trial: its objective (higher is better), interval, time and validation scores ``(N,)``.

        Raises:
            ConflictError: The trial's lease was lost and it was told FAIL meanwhile.
        """
        self._set(trial, result={"low": low, "high": high, "seconds": seconds}, **pack_scores(scores))
        self._end(trial, lambda: self._study.tell(trial.attempt, value))
        return self._required(trial.number)

    def fail(self, trial: AskedTrial, *, reason: str, seconds: float) -> Trial:
        """Store that the configuration cannot be evaluated, and why; it is not tried again."""
        self._set(trial, failed={"reason": reason, "seconds": seconds})
        self._end(trial, lambda: self._study.tell(trial.attempt, state=TrialState.FAIL))
        return self._required(trial.number)

    def release(self, trial: AskedTrial) -> None:
        """Give `trial` back unevaluated; it stays pending."""
        self._end(trial, lambda: self._study.tell(trial.attempt, state=TrialState.FAIL))

    # --------------------------------------------------------------------------------------- reading

    def trials(self) -> tuple[Trial, ...]:
        """Every completed or failed configuration, by number."""
        return tuple(sorted((to_record(t, space=self.space) for t in self._all() if is_end(t)), key=lambda t: t.number))

    def trial(self, number: int) -> Trial | None:
        """The completed or failed configuration `number`, None while it is pending or unknown."""
        return next(
            (to_record(trial, space=self.space) for trial in self._all() if is_end_of(trial, number=number)), None
        )

    def reason(self, number: int) -> str:
        """Why the failed trial `number` could not be evaluated."""
        return reason_of(self._end_of(number))

    def proposals(self) -> tuple[Proposal, ...]:
        """How every configuration came about, by number."""
        by_number = {number_of(trial): trial for trial in self._all()}
        return tuple(to_proposal(by_number[number], space=self.space) for number in sorted(by_number))

    def scores(self, number: int) -> NDArray[np.float64]:
        """Validation scores ``(N,)`` of the completed trial `number`."""
        return unpack_scores(self._end_of(number).user_attrs)

    # -------------------------------------------------------------------------------------- internals

    def _all(self) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    def _end_of(self, number: int) -> FrozenTrial:
        """The attempt that settled the configuration `number`, which one did."""
        return next(trial for trial in self._all() if is_end_of(trial, number=number))

    def _start(self, number: int, params: Mapping[str, Any], *, note: Mapping[str, Any]) -> AskedTrial:
        token = uuid.uuid4().hex
        lease = self._owner.lease().model_dump()
        named, parts = to_study(params, space=self.space)
        attrs = {**note, "number": number, "token": token, "lease": lease}
        # One insert: a trial is never in the database without its lease.
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=named,
                distributions=parts,
                user_attrs=attrs,
            )
        )
        running = self._running()
        mine = next(trial for trial in running if trial.user_attrs["token"] == token)
        if mine.number != running[0].number:
            self._study.tell(mine.number, state=TrialState.FAIL)
            raise busy_trial(self.name, number_of(running[0]), lease=Lease.read(running[0].user_attrs))
        return asked_trial(mine, space=self.space)

    def _running(self) -> list[FrozenTrial]:
        return [trial for trial in self._all() if trial.state == TrialState.RUNNING]

    def _set(self, trial: AskedTrial, **attrs: Any) -> None:
        """Set attributes of a running attempt.

        Raises:
            ConflictError: It is not running any more.
        """
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, trial.attempt)
        try:
            for name, value in attrs.items():
                self._storage.set_trial_user_attr(trial_id, name, value)
        except optuna.exceptions.UpdateFinishedTrialError as error:
            raise lost_trial(self.name, trial.number) from error

    def _end(self, trial: AskedTrial, tell: Callable[[], object]) -> None:
        try:
            tell()
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError) as error:
            raise lost_trial(self.name, trial.number) from error

    def _required(self, number: int) -> Trial:
        trial = self.trial(number)
        assert trial is not None
        return trial

    def _check_identity(self) -> None:
        """Refuse to go on with a study of another question: its history would mislead."""
        identity = sha256_json({"space": self.space.model_dump(mode="json"), "seed": self.seed})
        known = self._study.user_attrs.get("identity")
        if known is None:
            self._study.set_user_attr("identity", identity)
        elif known != identity:
            raise ConflictError(
                f"Study {self.name} was begun with another search space, pinned parameters or seed.",
                hint="Start a search of another name.",
            )

    def _recover(self) -> None:
        """Tell every trial FAIL whose holder is dead or late; wait one lease at most for holders we cannot see."""
        for trial in self._running():
            lease = Lease.read(trial.user_attrs)
            while lease is not None and not self._owner.sees_end_of(lease):
                time.sleep(_POLL)
                seen = Lease.read(self._all()[trial.number].user_attrs)
                if seen is not None and seen.until != lease.until:
                    raise busy_trial(self.name, number_of(trial), lease=lease)
            asked = asked_trial(trial, space=self.space)
            tries = sum(number_of(other) == asked.number for other in self._all())
            alone = asked.number == 0 and len(self.space.detectors) == 1
            if tries >= ATTEMPTS and not alone:
                self.fail(asked, reason=f"interrupted {tries} times", seconds=0.0)
            else:
                self.release(asked)


def _next_number(trials: Sequence[FrozenTrial]) -> int:
    return 1 + max((number_of(trial) for trial in trials), default=-1)


def _is_among(params: Mapping[str, Any], trials: Sequence[FrozenTrial], *, space: Space) -> bool:
    wanted = canonical_json(dict(params))
    return any(canonical_json(free_params(trial, space=space)) == wanted for trial in trials)
