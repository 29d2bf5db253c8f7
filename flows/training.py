"""The retrain flow: search → train → judge → explain → register, each a task that is tried again on passing faults."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect import flow, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TagsContext
from prefect.tasks import exponential_backoff

from components.core.contracts import ModelVersion
from components.core.errors import UnavailableError
from components.models.feature_memo import remembering
from components.train.preflight import spare_memory
from flows.ingestion import SCHEDULE
from flows.jobs import explaining, registering, searching, stages
from flows.jobs.plan import RetrainPlan, plan_retrain, settle_request
from flows.jobs.retrain import retraining
from flows.progress import logged
from flows.runtime.crashes import TAG, line_tag, mark_crashed, retrain_tag
from flows.runtime.server import answering, prefect_api
from flows.wiring import Linewright

T = TypeVar("T")


def is_passing(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a failed task is worth another try: only where an outside system did not answer."""
    return isinstance(state.result(raise_on_failure=False), UnavailableError)


def stage(act: Callable[..., T]) -> Callable[..., T]:
    """`act` as a task; its result stays in memory, since our own checkpoints are what a killed retrain goes on from."""
    decorate: Any = task(
        name=act.__name__,
        retries=3,
        retry_delay_seconds=exponential_backoff(backoff_factor=2),
        retry_jitter_factor=0.5,
        retry_condition_fn=is_passing,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return cast(Callable[..., T], decorate(act))


@flow(name="retrain", persist_result=False)
def retrain_flow(
    home: str, line: str, budget: int | None = None, seed: int | None = None, actor: str = SCHEDULE, request: str = ""
) -> ModelVersion:
    """Make a candidate of `line` from its newest data; the one of an equal earlier retrain if nothing changed."""
    app = Linewright.open(Path(home))
    plan = plan_retrain(app, line, budget=budget, seed=seed, actor=actor, request=request)
    if plan.done is None:
        with logged():
            return carry_out(plan)
    settle_request(plan, plan.done)
    return plan.done


def carry_out(plan: RetrainPlan) -> ModelVersion:
    """The stages in order, under the line's lease."""
    # A task inherits the run's tags, and before each tagged task Prefect asks the server for a slot of every tag and
    # waits two seconds for the answer. The line's lease guards a retrain; its tasks need no slots.
    with retraining(plan) as job, answering(), TagsContext(current_tags=set()):
        stage(stages.prepare)(job)
        with remembering(spare_memory()):
            outcome = stage(searching.search)(job)
            calibration = stage(stages.train)(job, outcome)
            judged = stage(stages.judge)(job)
            explained = stage(explaining.explain)(job)
        model = stage(registering.register)(
            job, outcome=outcome, calibration=calibration, judged=judged, explained=explained
        )
        settle_request(plan, model)
    return model


def run_retrain(plan: RetrainPlan) -> ModelVersion:
    """Run the flow now, on the workspace's Prefect API; what a killed run of the line left there is closed first."""
    app, name = plan.app, plan.line.name
    with prefect_api(app.settings) as url:
        if not app.records.leases.holder(name):
            mark_crashed(url, line=name, live=())
        with tags(TAG, line_tag(name), retrain_tag(plan.identity)):
            return retrain_flow(str(app.home), name, plan.budget, plan.seed, plan.actor, plan.request)
