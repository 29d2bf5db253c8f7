"""The whole loop on the two embedded lines: two batches each, a drift part-way, two candidates at the end."""

import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from rich.markup import escape

from components.core.contracts import Modality, ModelVersion
from components.core.errors import WorkspaceError
from components.core.lines import LineConfig, declare_line
from flows.commands.common import bars, console
from flows.commands.loop import print_candidate, print_drift, print_ingest
from flows.jobs.setup import make_workspace
from flows.runtime.server import prefect_api, start_early
from flows.wiring import Linewright
from flows.workspace import OPERATOR

NOTE = ".demo"
"""A file that says of a workspace that a demo made it, and the next one may remove it."""

SEED = 0
BUDGET = 3
REASON = "first model of the line; the demo approves it"


def declare_embedded(name: str, *, source: Path) -> LineConfig:
    """The embedded line of that name, `texture` or `pump`."""
    values: dict[str, object] = {"name": name, "source": str(source), "budget": BUDGET, "seed": SEED}
    if name == "texture":
        # A choice among all detectors would take the demo beyond four minutes on two cores: DINO's network is slow.
        return declare_line({**values, "modality": Modality.IMAGE, "detector": "memory-bank"}, origin="the demo")
    table = {"label": "anomaly", "timestamp": "time", "window": 10, "stride": 10}
    return declare_line({**values, "modality": Modality.TABLE, "table": table}, origin="the demo")


def write_texture(target: Path, batch: int) -> None:
    """Photographs of gravel with drawn defects; the light changes part-way through batch 2."""
    from components.testing import texture_line

    if batch == 1:
        texture_line.write_batch(target, batch=1, seed=SEED)
    else:
        texture_line.write_batch(target, batch=batch, seed=SEED, train_images=40, test_good=6, test_bad=8)


def write_pump(target: Path, batch: int) -> None:
    """A simulated pump loop with valve faults; its fluid warms slowly in batch 2."""
    from components.testing import pump_line

    pump_line.write_batch(target, batch=batch, seed=SEED, rows=9000 if batch == 1 else 6000)


def run_demo(home: Path) -> None:
    """Make a workspace at `home` and run the loop twice over both lines.

    Raises:
        WorkspaceError: The folder holds something that is not a workspace of an earlier demo.
    """
    if home.exists():
        if not (home / NOTE).is_file() and any(home.iterdir()):
            raise WorkspaceError(
                f"{home} holds other things than the workspace of an earlier demo, which alone is made anew.",
                hint="Name another folder with --dir.",
            )
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / NOTE).touch()
    started = time.monotonic()
    make_workspace(home)
    app = Linewright.open(home)
    start_early(app.settings)
    with prefect_api(app.settings):
        waiting = [
            _loop(app, declare_embedded("texture", source=home / "sources" / "texture"), write_texture),
            _loop(app, declare_embedded("pump", source=home / "sources" / "pump"), write_pump),
        ]
    _farewell(app, waiting, seconds=time.monotonic() - started)


def _loop(app: Linewright, line: LineConfig, write: Callable[[Path, int], None]) -> ModelVersion:
    from flows.drift import run_drift
    from flows.jobs.promote import approve_version

    name, source = line.name, Path(line.source)
    console.rule(f"[bold]{name}[/]: a first batch", align="left")
    write(source, 1)
    app.add_line(line, actor=OPERATOR)
    first = _ingest_and_retrain(app, name)
    approve_version(app, name, version=first.version, actor=OPERATOR, reason=REASON, accept_unmeasured=True)
    console.print(f"[green]{name} v{first.version} is the champion.[/]")
    console.rule(f"[bold]{name}[/]: a drifted batch", align="left")
    write(source, 2)
    _ingest(app, name)
    with bars():
        outcome, follows = run_drift(app, name, actor=OPERATOR)
    print_drift(outcome.report, path=str(app.home / outcome.html) if outcome.html else "", follows=follows)
    return _retrain(app, name)


def _ingest_and_retrain(app: Linewright, name: str) -> ModelVersion:
    _ingest(app, name)
    return _retrain(app, name)


def _ingest(app: Linewright, name: str) -> None:
    from flows.ingestion import run_ingest

    with bars():
        summary = run_ingest(app, name, actor=OPERATOR)
    print_ingest(summary)


def _retrain(app: Linewright, name: str) -> ModelVersion:
    from flows.jobs.plan import plan_retrain
    from flows.training import run_retrain

    with bars():
        model = run_retrain(plan_retrain(app, name, budget=None, seed=None, actor=OPERATOR))
    print_candidate(model)
    return model


def _farewell(app: Linewright, waiting: list[ModelVersion], *, seconds: float) -> None:
    first = waiting[0]
    lines = [
        f"The loop ran on two lines in {seconds:.0f} s. A candidate of each waits for you.",
        "",
        f"Workspace     {app.home}",
        f"Drift reports {app.settings.reports}",
        f"Models, explanations and trials: {app.settings.artifact_root} (in a browser: linewright up)",
        "",
        f"  export LINEWRIGHT_HOME={escape(shlex.quote(str(app.home)))}",
        f"  .venv/bin/linewright show {first.line} {first.version}",
        f'  .venv/bin/linewright approve {first.line} {first.version} --accept-unmeasured --reason "follows the light"',
        f"  .venv/bin/linewright score {first.line} {app.home / 'sources' / first.line / 'test'}",
    ]
    console.rule("[bold]What to try next[/]", align="left")
    # No frame: it would cut commands that are longer than a line of the terminal.
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
