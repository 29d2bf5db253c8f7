"""The deployments of a workspace: one per line and flow, kept equal to the line files, served by this process.

`python -m flows.deployments --home HOME` is what `linewright up` runs. Prefect's concurrency limit only tidies the
queue; the line's lease in our own database is what keeps two retrains apart.
"""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from components.core.errors import ConfigError
from components.core.lines import LineConfig, read_line
from components.settings import Settings, load_settings
from flows.runtime import garbage
from flows.runtime.crashes import TAG, line_tag, mark_abandoned
from flows.runtime.events import automation_name, drift_automation
from flows.runtime.server import use_api, wait_for_up

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

FLOWS: Mapping[str, str] = {
    "ingest": "flows.ingestion:ingest_flow",
    "drift": "flows.drift:drift_flow",
    "retrain": "flows.training:retrain_flow",
}
"""Kind of work (a field of a line's `schedule`) → where its flow is: `flow(home, line)`, retrain also `request`."""

READY_FILE = "worker.ready"
"""Below the workspace's `run/`: there while this process serves the deployments."""

_LOOK_SECONDS = 5.0
_MOMENT = 0.05
_PAGE = 200
_log = logging.getLogger("prefect.linewright")


def read_lines(settings: Settings) -> dict[str, LineConfig]:
    """Every line of the workspace by name.

    Raises:
        ConfigError: A line's file or one of its cron lines cannot be used.
    """
    lines = [read_line(path) for path in settings.line_files()]
    for line in lines:
        check_crons(line)
    return {line.name: line for line in lines}


def check_crons(line: LineConfig) -> None:
    """Raises ConfigError where Prefect would not take a cron line."""
    from prefect.schedules import Cron

    for kind, cron in line.schedule:
        try:
            if cron:
                Cron(cron, timezone="UTC")
        except ValueError as error:
            raise ConfigError(
                f"Line {line.name}: schedule.{kind}: {cron!r} is not a cron line.", hint="Use five fields: '0 2 * * *'."
            ) from error


async def build(line: LineConfig, *, kind: str, settings: Settings, flows: Mapping[str, str]) -> "RunnerDeployment":
    """The deployment of one line and kind of work; without a cron it runs when triggered only."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    module, _, name = flows[kind].partition(":")
    flow: Flow[..., Any] = getattr(import_module(module), name)
    cron = str(getattr(line.schedule, kind))
    return await flow.ato_deployment(
        line.name,
        schedule=Cron(cron, timezone="UTC") if cron else None,
        parameters=_parameters(line.name, settings=settings),
        tags=[TAG, line_tag(line.name), f"kind:{kind}"],
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


class Board:
    """Keeps the server's deployments and automations equal to the workspace's line files."""

    def __init__(self, settings: Settings, *, runner: "Runner", flows: Mapping[str, str] = FLOWS) -> None:
        self._settings = settings
        self._runner = runner
        self._flows = flows
        self._applied: dict[str, LineConfig] = {}
        self._complained: dict[str, str] = {}

    async def sync(self) -> set[UUID]:
        """Apply lines that are new or changed, remove those that are gone; return the deployments applied now."""
        from prefect.client.orchestration import get_client

        applied: set[UUID] = set()
        lines = self._readable()
        async with get_client() as client:
            for name, line in lines.items():
                if self._applied.get(name) != line:
                    applied |= await self._apply(client, line)
                    self._applied[name] = line
            files = {path.stem for path in self._settings.line_files()}
            await self._remove(client, keep=files)
        self._applied = {name: line for name, line in self._applied.items() if name in files}
        return applied

    async def follow(self) -> None:
        """`sync` whenever line files change, for ever; a server that does not answer is asked again."""
        from prefect.exceptions import PrefectException

        seen = self._fingerprint()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if (now := self._fingerprint()) != seen:
                    await self.sync()
                    seen = now
            except (httpx.HTTPError, PrefectException, OSError) as error:
                _log.warning("Prefect cannot be told of the lines yet: %s", error)

    def _fingerprint(self) -> list[tuple[str, int, int]]:
        found = [(path.name, path.stat()) for path in self._settings.line_files()]
        return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in found]

    def _readable(self) -> dict[str, LineConfig]:
        """Lines that can be used; a broken one keeps its former deployments and does not stop the others."""
        found: dict[str, LineConfig] = {}
        for path in self._settings.line_files():
            try:
                line = read_line(path)
                check_crons(line)
            except (ConfigError, FileNotFoundError) as error:
                if self._complained.get(path.stem) != str(error):
                    _log.error("%s Its schedule stays as it was.", error)
                self._complained[path.stem] = str(error)
            else:
                self._complained.pop(path.stem, None)
                found[line.name] = line
        return found

    async def _apply(self, client: "PrefectClient", line: LineConfig) -> set[UUID]:
        ids = {}
        for kind in self._flows:
            deployment = await build(line, kind=kind, settings=self._settings, flows=self._flows)
            ids[kind] = await self._runner.aadd_deployment(deployment)
        if "retrain" in ids:
            automation = drift_automation(
                line.name,
                deployment=ids["retrain"],
                parameters=_parameters(line.name, settings=self._settings),
                enabled=line.drift.action != "off",
            )
            existing = await client.read_automations_by_name(automation.name)
            if existing:
                await client.update_automation(existing[0].id, automation)
            else:
                await client.create_automation(automation)
        _log.info("Line %s is deployed.", line.name)
        return set(ids.values())

    async def _remove(self, client: "PrefectClient", *, keep: set[str]) -> None:
        for deployment in await _ours(client, settings=self._settings):
            if deployment.name not in keep:
                for automation in await client.read_automations_by_name(automation_name(deployment.name)):
                    await client.delete_automation(automation.id)
                await client.delete_deployment(deployment.id)
                _log.info("Line %s is gone: its deployment was removed.", deployment.name)


async def serve(settings: Settings, *, flows: Mapping[str, str] = FLOWS) -> None:
    """Apply the deployments to the server in use, then run what is due until this process is told to stop."""
    from prefect.runner import Runner

    # Retrains take whole cores; a line's check should still not wait for another line's retrain.
    limit = max(2, (os.cpu_count() or 2) // 2)
    runner = Runner(name="linewright", pause_on_shutdown=False, limit=limit, query_seconds=_LOOK_SECONDS)
    board = Board(settings, runner=runner, flows=flows)
    deployments = await board.sync()
    await _clear_up(settings, deployments=deployments)
    ready = settings.home / "run" / READY_FILE
    ready.parent.mkdir(exist_ok=True)
    ready.write_text(str(os.getpid()), encoding="utf-8")
    following = asyncio.create_task(board.follow())
    try:
        await _until_stopped(runner)
    finally:
        following.cancel()
        ready.unlink(missing_ok=True)


async def _until_stopped(runner: "Runner") -> None:
    """Run what is due; on SIGTERM or Ctrl-C cancel what runs, so that it is shown as cancelled, and return."""
    stop = asyncio.Event()
    running = asyncio.create_task(runner.start())
    while not runner.started and not running.done():
        await asyncio.sleep(_MOMENT)
    # Prefect 3.8's own handler never awaits its stop: the runs would be cut off and stay RUNNING.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        await runner.astop()
    stopping.cancel()
    await running


async def _clear_up(settings: Settings, *, deployments: set[UUID]) -> None:
    """What an earlier server of this workspace left: runs that died with it, and scheduled times that passed."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    url = str(PREFECT_API_URL.value())
    if settings.prefect.api_url or not deployments:
        return  # on a real server other workers may run them
    crashed = await asyncio.to_thread(mark_abandoned, url, deployments=deployments)
    async with get_client() as client:
        missed = await _missed(client, deployments=deployments)
        for run in missed:
            await client.delete_flow_run(run)
    _log.info("Runs that had died: %d; scheduled times that passed unserved: %d.", crashed, len(missed))


async def _missed(client: "PrefectClient", *, deployments: set[UUID]) -> list[UUID]:
    from datetime import UTC, datetime

    found = await client.get_scheduled_flow_runs_for_deployments(
        deployment_ids=list(deployments), scheduled_before=datetime.now(UTC), limit=_PAGE
    )
    return [run.id for run in found if run.auto_scheduled]


async def _ours(client: "PrefectClient", *, settings: Settings) -> "list[DeploymentResponse]":
    """Every deployment that this workspace made, by whichever process."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    wanted = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(deployment_filter=wanted, limit=_PAGE, offset=len(found)):
        found += page
    return [deployment for deployment in found if deployment.parameters.get("home") == str(settings.home)]


def _parameters(line: str, *, settings: Settings) -> dict[str, Any]:
    return {"home": str(settings.home), "line": line}


def main() -> None:
    """Serve the workspace's deployments on the server of `up`, or on the real one that the settings name."""
    garbage.look_rarely()
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    settings = load_settings(parser.parse_args().home)
    url = settings.prefect.api_url or wait_for_up(settings)
    with use_api(settings, url=url):
        asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
