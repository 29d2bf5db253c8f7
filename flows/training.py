"""The retrain flow: search → train → evaluate → explain → register, each a task that is retried on passing faults."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from components.core.contracts import ModelVersion
from components.core.errors import UnavailableError
from flows.jobs import explaining, registering, searching, stages
from flows.jobs.plan import RetrainPlan, plan_retrain
from flows.jobs.retrain import retraining
from flows.runtime.server import prefect_api
from flows.wiring import Linewright

T = TypeVar("T")


def passing(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - signature is Prefect's
    """Whether a failed task is worth another try: only where an outside system did not answer."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, UnavailableError)


def stage(act: Callable[..., T]) -> Callable[..., T]:
    """`act` as a task. Results stay in memory: our own checkpoints make a killed retrain go on, not Prefect's cache."""
    made: Callable[..., T] = task(
        act,
        name=act.__name__,
        retries=3,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_jitter_factor=0.5,
        retry_condition_fn=passing,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return made
