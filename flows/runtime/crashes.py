"""Tell Prefect which runs died: a process that was killed leaves its flow run RUNNING for good.

A self-hosted Prefect does not notice by itself. Three things do: a process that runs flows holds a lock as long as it
lives (`alive`), a retrain holds a lease, and whoever serves deployments is alone.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from flows.runtime.locks import FileLock

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

TAG = "linewright"
"""Tag of every flow run of ours."""

_PROCESS = "process:"
_PAGE = 200
_MOMENT = 5.0
_OLD_SECONDS = 3600.0


def line_tag(line: str) -> str:
    """Tag of a line's flow runs."""
    return f"line:{line}"


def retrain_tag(retrain: str) -> str:
    """Tag that ties a flow run to the retrain whose lease it works under."""
    return f"retrain:{retrain}"


@contextmanager
def alive(prefect_home: Path) -> Iterator[None]:
    """Tag the flow runs started inside, so that `mark_dead` can tell when their process is gone."""
    from prefect import tags

    name = uuid4().hex
    with FileLock(_life(prefect_home, name=name)) as life:
        life.wait_exclusive(timeout=_MOMENT)  # another may be looking
        with tags(_PROCESS + name):
            yield
        _life(prefect_home, name=name).unlink()


def mark_dead(api_url: str, *, prefect_home: Path) -> int:
    """Set unfinished runs that were started in `alive` by processes that are gone to CRASHED; return how many."""
    from prefect.client.orchestration import get_client
    from prefect.settings import temporary_settings

    def dead(run: "FlowRun") -> bool:
        names = [tag.removeprefix(_PROCESS) for tag in run.tags if tag.startswith(_PROCESS)]
        return bool(names) and not any(_lives(_life(prefect_home, name=name)) for name in names)

    with temporary_settings(updates={"api.url": api_url}), get_client(sync_client=True) as client:
        count = _crash(client, tags=[], why="Its process ended without a word.", dead=dead)
    for path in _life(prefect_home, name="").parent.glob("*.lock"):
        # A young one may be about to be locked.
        if time.time() - path.stat().st_mtime > _OLD_SECONDS and not _lives(path):
            path.unlink(missing_ok=True)
    return count


def _life(prefect_home: Path, *, name: str) -> Path:
    return prefect_home / "processes" / f"{name}.lock"


def _lives(path: Path) -> bool:
    # Looking must not make the file anew.
    with FileLock(path) as lock:
        return path.exists() and not lock.try_shared()


def mark_crashed(api_url: str, *, line: str, live: Collection[str]) -> int:
    """Set unfinished runs of retrains that are not `live` to CRASHED, with their tasks; return how many.

    Args:
        api_url: From `prefect_api`.
        line: Only this line's runs.
        live: Retrain ids whose lease is held. Runs without a retrain's tag are left alone.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import temporary_settings

    def dead(run: "FlowRun") -> bool:
        owners = {tag.removeprefix("retrain:") for tag in run.tags if tag.startswith("retrain:")}
        return bool(owners) and not owners & set(live)

    with temporary_settings(updates={"api.url": api_url}), get_client(sync_client=True) as client:
        return _crash(client, tags=[TAG, line_tag(line)], why="Its process ended without a word.", dead=dead)


def mark_abandoned(api_url: str, *, deployments: Collection[UUID]) -> int:
    """Set every unfinished run of `deployments` to CRASHED; return how many.

    Call it when the one process that runs them has just started: whatever seems to run died with the one before, and
    would hold its deployment's only place for ever.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import temporary_settings

    with temporary_settings(updates={"api.url": api_url}), get_client(sync_client=True) as client:
        why = "What served it ended without a word."
        return _crash(client, tags=[TAG], why=why, dead=lambda run: run.deployment_id in deployments)


def _crash(client: "SyncPrefectClient", *, tags: list[str], why: str, dead: "Callable[[FlowRun], bool]") -> int:
    from prefect.states import Crashed

    found = [run for run in list(_unfinished(client, tags=tags)) if dead(run)]
    for run in found:
        _crash_tasks(client, run=run.id, why=why)
        client.set_flow_run_state(run.id, Crashed(message=why), force=True)
    return len(found)


def _unfinished(client: "SyncPrefectClient", *, tags: list[str]) -> "Iterator[FlowRun]":
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

    wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=tags) if tags else None, state=_states("FlowRun"))
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=offset):
        yield from page
        offset += len(page)


def _crash_tasks(client: "SyncPrefectClient", *, run: UUID, why: str) -> None:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter
    from prefect.states import Crashed

    owner = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    wanted = TaskRunFilter(state=_states("TaskRun"))
    while page := client.read_task_runs(flow_run_filter=owner, task_run_filter=wanted, limit=_PAGE):
        for task in page:
            client.set_task_run_state(task.id, Crashed(message=why), force=True)


def _states(kind: str) -> Any:
    """A filter on the states that only a living process leaves."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    types: Sequence[StateType] = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    by_type = getattr(filters, f"{kind}FilterStateType")(any_=types)
    return getattr(filters, f"{kind}FilterState")(type=by_type)
