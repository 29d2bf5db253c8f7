"""The ingest flow: new files → a new dataset version."""

from pathlib import Path

from prefect import flow, tags

from components.core.contracts import IngestSummary
from flows.jobs.ingest import ingest
from flows.progress import logged
from flows.runtime.crashes import TAG, line_tag
from flows.runtime.server import prefect_api
from flows.wiring import Linewright

SCHEDULE = "schedule"
"""The actor of runs that no person started."""


@flow(name="ingest", persist_result=False)
def ingest_flow(home: str, line: str, actor: str = SCHEDULE) -> IngestSummary:
    """Bring new files of `line` into a new dataset version."""
    with logged():
        return ingest(Linewright.open(Path(home)), line, actor=actor)


def run_ingest(app: Linewright, name: str, *, actor: str) -> IngestSummary:
    """Run the flow now, on the workspace's Prefect API."""
    with prefect_api(app.settings), tags(TAG, line_tag(name)):
        return ingest_flow(str(app.home), name, actor)
