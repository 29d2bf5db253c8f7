"""A search's memory: an Optuna study in the records database, asked and told by us, safe to kill at any point.

A trial's number counts configurations; a configuration whose evaluation was interrupted keeps its number and is
tried again. Optuna sees each attempt as a trial of its own: interrupted ones are told FAIL.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from components.core.contracts import Trial
from components.core.errors import ConflictError
from components.core.hashing import canonical_json, sha256_json
from components.search.lease import Lease, renewing
from components.search.space import SearchSpace, Value
from components.search.storage import open_storage, pack_scores, unpack_scores
from components.search.tpe import distributions, draws

LEASE_TTL = 20.0
"""Seconds without a sign of life after which a trial belongs to nobody."""

ATTEMPTS = 3
"""Interruptions after which a configuration other than the default counts as failed: it may be what kills us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTrial:
    """A configuration to evaluate.

    Attributes:
        number: Of the configuration, from 0, the default one.
        attempt: Optuna's number of this try of it.
        params: Free and pinned parameters.
    """

    number: int
    attempt: int
    params: dict[str, Any]
    proposed_by: str
    why: str


class Study:
    """One search of one line. Make it with `Study.open`, end it with `close`."""

    def __init__(
        self, study: "optuna.Study", storage: "optuna.storages.RDBStorage", *, space: SearchSpace, seed: int, ttl: float
    ) -> None:
        self._study, self._storage, self._ttl = study, storage, ttl
        self.space, self.seed, self.name = space, seed, str(study.study_name)

    @classmethod
    def open(cls, url: str, *, name: str, space: SearchSpace, seed: int, ttl: float = LEASE_TTL) -> Self:
        """The study `name` in the database at `url`, new or resumed; trials that belong to nobody are told FAIL.

        Raises:
            ConflictError: Another process works on a trial of it, or it was begun with another space or seed.
            UnavailableError: The database does not answer.
        """
        storage = open_storage(url)
        try:
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
            opened = cls(study, storage, space=space, seed=seed, ttl=ttl)
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
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- asking

    def suggest(self) -> dict[str, Value] | None:
        """Free parameters that TPE proposes next and that were not tried; None when it finds no new ones.

        The proposal depends on the seed, the next number and the completed trials alone, so that a resumed search
        proposes what the uninterrupted one would have.
        """
        tried = {canonical_json(_free(trial)) for trial in self._all()}
        for params in draws(self._study, self.space, seed=self.seed, number=self.next_number):
            if canonical_json(params) not in tried:
                return params
        return None

    @property
    def next_number(self) -> int:
        """Number of the next new configuration."""
        return 1 + max((_number(trial) for trial in self._all()), default=-1)

    def was_tried(self, params: Mapping[str, Any]) -> bool:
        """Whether these free parameters were asked before."""
        wanted = canonical_json(dict(params))
        return any(canonical_json(_free(trial)) == wanted for trial in self._all())

    def ask(self, params: Mapping[str, Any], *, proposed_by: str, why: str) -> AskedTrial:
        """A new trial of the free parameters `params`, leased to this process.

        Raises:
            ConfigError: They are not in the search space.
            ConflictError: They were tried before, or another process asked at the same time.
        """
        if self.was_tried(params):
            raise ConflictError(f"Study {self.name} tried {dict(params)} before.", hint="Propose something new.")
        return self._start(self.next_number, self.space.validate_params(params), proposed_by=proposed_by, why=why)

    def pending(self) -> int | None:
        """Number of the configuration that was asked and neither completed nor failed; None if there is none."""
        ended = {_number(trial) for trial in self._all() if _ended(trial)}
        return min((_number(trial) for trial in self._all() if _number(trial) not in ended), default=None)

    def claim(self, number: int) -> AskedTrial:
        """The pending trial `number`, leased to this process; tried again if its last attempt was interrupted.

        Raises:
            ConflictError: It is not pending, or another process works on it.
        """
        attempts = [trial for trial in self._all() if _number(trial) == number]
        if not attempts or any(_ended(trial) for trial in attempts):
            raise ConflictError(f"Trial {number} of study {self.name} is not pending.", hint="Ask for a new one.")
        last = attempts[-1]
        if last.state == TrialState.RUNNING:
            lease = Lease.read(last.user_attrs)
            if lease is None or lease.holder != Lease.lasting(0).holder:
                raise self._busy(last)
            return self._asked(last)
        return self._start(number, _free(last), proposed_by=last.user_attrs["proposed_by"], why=last.user_attrs["why"])

    # --------------------------------------------------------------------------------------- telling

    def renewing(self, trial: AskedTrial) -> AbstractContextManager[None]:
        """Keep this process's lease on `trial` while the block runs."""

        def write(lease: Lease) -> None:
            self._set(trial, lease=lease.model_dump())
            self._storage.remove_session()

        return renewing(write, ttl=self._ttl)

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
        self._set(trial, low=low, high=high, seconds=seconds, ended="complete", **pack_scores(scores))
        self._end(trial, lambda: self._study.tell(trial.attempt, value))
        return self._required(trial.number)

    def fail(self, trial: AskedTrial, *, reason: str, seconds: float) -> Trial:
        """Store that the configuration cannot be evaluated, and why; it is not tried again."""
        self._set(trial, reason=reason, seconds=seconds, ended="failed")
        self._end(trial, lambda: self._study.tell(trial.attempt, state=TrialState.FAIL))
        return self._required(trial.number)

    def release(self, trial: AskedTrial) -> None:
        """Give `trial` back unevaluated; it stays pending."""
        self._end(trial, lambda: self._study.tell(trial.attempt, state=TrialState.FAIL))

    # --------------------------------------------------------------------------------------- reading

    def trials(self) -> tuple[Trial, ...]:
        """Every completed or failed configuration, by number."""
        return tuple(sorted((_record(t, self.space) for t in self._all() if _ended(t)), key=lambda t: t.number))

    def trial(self, number: int) -> Trial | None:
        """The completed or failed configuration `number`, None while it is pending or unknown."""
        return next((_record(trial, self.space) for trial in self._all() if _is_end_of(trial, number)), None)

    def scores(self, number: int) -> NDArray[np.float64]:
        """Validation scores ``(N,)`` of the completed trial `number`."""
        return unpack_scores(next(trial for trial in self._all() if _is_end_of(trial, number)).user_attrs)

    # -------------------------------------------------------------------------------------- internals

    def _all(self) -> list[FrozenTrial]:
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    def _start(self, number: int, params: Mapping[str, Any], *, proposed_by: str, why: str) -> AskedTrial:
        token = uuid.uuid4().hex
        lease = Lease.lasting(self._ttl).model_dump()
        attrs = {"number": number, "proposed_by": proposed_by, "why": why, "token": token, "lease": lease}
        # One insert: a trial is never in the database without its lease.
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=dict(params),
                distributions=distributions(self.space),
                user_attrs=attrs,
            )
        )
        running = self._running()
        mine = next(trial for trial in running if trial.user_attrs["token"] == token)
        if mine.number != running[0].number:
            self._study.tell(mine.number, state=TrialState.FAIL)
            raise self._busy(running[0])
        return self._asked(mine)

    def _running(self) -> list[FrozenTrial]:
        return [trial for trial in self._all() if trial.state == TrialState.RUNNING]

    def _asked(self, trial: FrozenTrial) -> AskedTrial:
        attrs = trial.user_attrs
        return AskedTrial(
            number=attrs["number"],
            attempt=trial.number,
            params=self.space.full(_free(trial)),
            proposed_by=attrs["proposed_by"],
            why=attrs["why"],
        )

    def _set(self, trial: AskedTrial, **attrs: Any) -> None:
        """Set attributes of a running attempt; ConflictError if it is not running any more."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, trial.attempt)
        try:
            for name, value in attrs.items():
                self._storage.set_trial_user_attr(trial_id, name, value)
        except optuna.exceptions.UpdateFinishedTrialError as error:
            raise self._lost(trial) from error

    def _end(self, trial: AskedTrial, tell: Callable[[], object]) -> None:
        try:
            tell()
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError) as error:
            raise self._lost(trial) from error

    def _required(self, number: int) -> Trial:
        trial = self.trial(number)
        assert trial is not None
        return trial

    def _lost(self, trial: AskedTrial) -> ConflictError:
        return ConflictError(
            f"Trial {trial.number} of study {self.name} was taken over: its lease had run out.",
            hint="Let the other process finish, or run the search again.",
        )

    def _busy(self, trial: FrozenTrial) -> ConflictError:
        lease = Lease.read(trial.user_attrs)
        holder = f"process {lease.holder.pid} on {lease.holder.host}" if lease else "another process"
        return ConflictError(
            f"Trial {_number(trial)} of study {self.name} is being evaluated by {holder}.", hint="Wait until it ends."
        )

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
            while lease is not None and not lease.is_over():
                time.sleep(_POLL)
                seen = Lease.read(self._all()[trial.number].user_attrs)
                if seen is not None and seen.until != lease.until:
                    raise self._busy(trial)
            asked = self._asked(trial)
            tries = sum(_number(other) == asked.number for other in self._all())
            if asked.number > 0 and tries >= ATTEMPTS:
                self.fail(asked, reason=f"interrupted {tries} times", seconds=0.0)
            else:
                self.release(asked)


_POLL = 0.2
"""Seconds between two looks at a lease that somebody else may renew."""


def _number(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["number"])


def _free(trial: FrozenTrial) -> dict[str, Any]:
    return dict(trial.params)


def _is_end_of(trial: FrozenTrial, number: int) -> bool:
    return _number(trial) == number and _ended(trial)


def _ended(trial: FrozenTrial) -> bool:
    """Whether this attempt settled its configuration; an interrupted one did not."""
    return trial.state == TrialState.COMPLETE or (
        trial.state == TrialState.FAIL and trial.user_attrs.get("ended") == "failed"
    )


def _record(trial: FrozenTrial, space: SearchSpace) -> Trial:
    attrs, complete = trial.user_attrs, trial.state == TrialState.COMPLETE
    reason = attrs.get("reason", "")
    return Trial(
        number=_number(trial),
        params=space.full(_free(trial)),
        state="complete" if complete else "failed",
        value=trial.value if complete else None,
        low=attrs.get("low") if complete else None,
        high=attrs.get("high") if complete else None,
        seconds=attrs["seconds"],
        proposed_by=attrs["proposed_by"],
        why=f"{attrs['why']}; failed: {reason}" if reason else attrs["why"],
    )
