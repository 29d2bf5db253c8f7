"""One retrain that owns its line: a lease, a record with checkpoints, an MLflow run, a work folder.

A retrain that was killed or interrupted, or that something outside left without an answer, is found again by its key
and goes on after its last checkpoint; one of another key is marked crashed and its left-overs are closed before a new
one begins.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from components.adapters.db.heartbeat import HeldLease
from components.adapters.db.holder import this_process
from components.adapters.db.leases import Lease
from components.adapters.db.retrains import Retrain
from components.core.errors import ConflictError, LinewrightError, UnavailableError, UnknownVersionError
from flows.data import LineData
from flows.jobs.plan import RetrainPlan

_LOG = logging.getLogger(__name__)

_TIMINGS = "timings"
"""The checkpoint of what all stages took, of a killed process too."""


class RetrainJob:
    """What the stages of one retrain share. Make it with `retraining`."""

    def __init__(self, plan: RetrainPlan, *, held: HeldLease[Lease], record: Retrain, began: float) -> None:
        self._held = held
        self.plan, self.app, self.line, self.seed = plan, plan.app, plan.line, plan.seed
        self.lease, self.record = held.lease, record
        self.id = record.retrain_id
        self.folder = plan.app.home / "retrains" / self.id
        self.timings: dict[str, float] = dict(record.stages.get(_TIMINGS, {}))
        self._before = self.timings.pop("total", 0.0)
        self._done = dict(record.stages)
        self._began = began

    @cached_property
    def data(self) -> LineData:
        """The dataset version that the plan chose."""
        return LineData.open(self.app, self.line, number=self.plan.version.number)

    @cached_property
    def run_id(self) -> str:
        """The MLflow run of this retrain."""
        return self.app.tracker.start_retrain(
            self.line.name,
            retrain_id=self.id,
            params={"budget": self.plan.budget, "seed": self.seed, "dataset": self.plan.version.tag},
            tags={
                "linewright.dataset_revision": self.plan.version.revision,
                "linewright.manifest_sha256": self.plan.version.manifest_sha256,
                "linewright.actor": self.plan.actor,
                "linewright.request": self.plan.request,
            },
        )

    def once(self, stage: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `act` gives, or gave before this retrain was killed."""
        if stage not in self._done:
            result = act()
            self.app.records.retrains.checkpoint(self.lease, self.id, stage, result)
            self._done[stage] = result
            self.app.records.retrains.checkpoint(self.lease, self.id, _TIMINGS, self.account())
        return self._done[stage]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time inside as the stage's own work; the rest of a retrain is orchestration.

        Raises:
            ConflictError: The line is not this retrain's any more.
        """
        if self._held.taken:
            raise ConflictError(
                f"Another took the lease of line {self.line.name!r}.",
                hint="What was finished is kept; run the retrain again, it resumes.",
            )
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start

    def account(self) -> dict[str, float]:
        """Seconds of every stage's own work, and `total`: of a killed process up to its last checkpoint."""
        return {**self.timings, "total": self._before + time.perf_counter() - self._began}

    def fresh_folder(self, name: str) -> Path:
        """An empty folder of this retrain; what a killed try left in it is gone."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path


@contextmanager
def retraining(plan: RetrainPlan) -> Iterator[RetrainJob]:
    """Own the line while the block runs; begin a retrain or resume the killed one of the same key.

    Raises:
        ConflictError: Another process retrains the line.
    """
    records, began = plan.app.records, time.perf_counter()
    with records.leases.hold(plan.line.name, holder=this_process(), ttl=plan.app.settings.lease.ttl) as held:
        identity = plan.identity
        record = records.retrains.begin(
            held.lease,
            retrain_id=identity,
            key=plan.key,
            dataset=plan.version.number,
            actor=plan.actor,
            config=plan.line.model_dump(mode="json"),
            request=plan.request,
        )
        plan.app.tracker.close_stale(plan.line.name, live={identity})
        _clear(plan)
        job = RetrainJob(plan, held=held, record=record, began=began)
        try:
            yield job
        except ConflictError:
            raise  # the line is another's by now: nothing of it is ours to close
        except UnavailableError:
            raise  # what failed is outside: what was finished is kept for the next try, as after Ctrl-C or a kill
        except Exception as error:
            _give_up(job, error)
            raise
        records.retrains.finish(held.lease, identity, "done", {"timings": job.timings})
        shutil.rmtree(job.folder, ignore_errors=True)


def _clear(plan: RetrainPlan) -> None:
    """Remove what killed retrains of the line left; its lease is ours, so that nobody works on them."""
    for folder in (plan.app.home / "retrains").glob("*"):
        try:
            stale = folder.name != plan.identity and plan.app.records.retrains.get(folder.name).line == plan.line.name
        except UnknownVersionError:
            continue
        if stale:
            shutil.rmtree(folder, ignore_errors=True)


def _give_up(job: RetrainJob, error: Exception) -> None:
    """Close what is open; if even that fails, the next start closes it, and the first error is the one to tell."""
    text = error.message if isinstance(error, LinewrightError) else f"{type(error).__name__}: {error}"
    try:
        job.app.records.retrains.finish(job.lease, job.id, "failed", {"error": text[:1000]})
        job.app.tracker.close_stale(job.line.name, live=set())
    except LinewrightError as second:
        _LOG.error("%s", second)
    shutil.rmtree(job.folder, ignore_errors=True)
