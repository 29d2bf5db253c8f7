"""Drift as a Prefect event, and the automation that turns it into a retrain of its line."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from components.core.errors import UnavailableError
from flows.runtime.crashes import TAG, line_tag

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

DRIFT_EVENT = "linewright.drift.detected"


def line_resource(line: str) -> str:
    """Prefect's name of a line as the resource of events."""
    return f"linewright.line.{line}"


def automation_name(line: str) -> str:
    """Name of the line's automation."""
    return f"linewright: drift of {line} → retrain"


def emit_drift(line: str, *, check: str, detail: str) -> None:
    """Tell the server of the surrounding `prefect_api` that `line` drifted; it has the event on return.

    Args:
        line: Line that drifted.
        check: Name of the drift check, unique for ever; it becomes the retrain's `request`. Told twice, it acts once.
        detail: One sentence for people.

    Raises:
        UnavailableError: The server does not take it.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.events import Event, Resource

    event = Event(
        id=uuid5(NAMESPACE_URL, f"{DRIFT_EVENT}/{line}/{check}"),
        event=DRIFT_EVENT,
        resource=Resource({"prefect.resource.id": line_resource(line), "prefect.resource.name": line}),
        payload={"request": check, "detail": detail},
    )
    try:
        with get_client(sync_client=True) as client:
            client._client.post("/events", json=[event.model_dump(mode="json")]).raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"Prefect did not take the drift of {line}: {error}.", hint="Retry the check."
        ) from error


def drift_automation(line: str, *, deployment: UUID, parameters: dict[str, Any], enabled: bool) -> "AutomationCore":
    """One drift event of `line` → one run of the retrain `deployment`, `request` being the check's name."""
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    request = {"__prefect_kind": "jinja", "template": "{{ event.payload.request }}"}
    return AutomationCore(
        name=automation_name(line),
        description="Made and kept by linewright up.",
        enabled=enabled,
        tags=[TAG, line_tag(line)],
        trigger=EventTrigger(
            expect={DRIFT_EVENT},
            match={"prefect.resource.id": line_resource(line)},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(deployment_id=deployment, parameters={**parameters, "request": request})],
    )
