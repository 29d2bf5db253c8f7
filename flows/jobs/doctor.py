"""Check an installation part by part, and say for each what mends it."""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.core.errors import IntegrityError, LinewrightError, system_error

if TYPE_CHECKING:
    from flows.wiring import Linewright

ROOT = Path(__file__).parents[2]
RESTORE = "Restore a backup."


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One checked part; `mend` says what to do where it is not ok."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def diagnose(home: Path) -> list[Finding]:
    """Check Python, packages, weights and the workspace at `home`, every signature too; nothing is changed."""
    return [_python(), _git(), *_packages(), *_top_level(), _weights(), *_workspace(home)]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding(name="Python", ok=sys.version_info >= (3, 11), detail=found, mend="Install Python 3.11 or later.")


def _git() -> Finding:
    found = shutil.which("git")
    return Finding(name="git", ok=found is not None, detail=found or "not on PATH", mend="Install git.")


def _packages() -> list[Finding]:
    wrong = []
    for pin in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        name, _, rest = pin.partition("==")
        wanted = rest.partition(";")[0].strip()
        if not wanted or ";" in rest:
            continue
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found.partition("+")[0] != wanted:
            wrong.append(f"{name} {found}, locked {wanted}")
    detail = "all as in requirements.lock" if not wrong else "; ".join(wrong[:3])
    return [Finding(name="packages", ok=not wrong, detail=detail, mend="" if not wrong else "Run: make setup")]


def _top_level() -> list[Finding]:
    found = []
    for name in ("flows", "agents", "components"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).parent if spec and spec.origin else None
        mend = f"Another package is called {name!r}: remove it, or run linewright from its own .venv."
        found.append(Finding(name=f"import {name}", ok=origin == ROOT / name, detail=str(origin), mend=mend))
    spec = importlib.util.find_spec("mlflow")
    inside = spec is not None and spec.origin is not None and not Path(spec.origin).is_relative_to(ROOT / "mlflow")
    mend = "The folder mlflow/ must hold no Python; run: make setup"
    detail = str(spec.origin) if spec else "not installed"
    return [*found, Finding(name="import mlflow", ok=inside, detail=detail, mend=mend)]


def _weights() -> Finding:
    from components.models.registry import available

    missing = [f"{name}: {reason}" for name, _, reason in available() if reason]
    detail = "; ".join(missing) or "every detector has its weights"
    return Finding(name="detectors", ok=not missing, detail=detail, mend="Run: make setup" if missing else "")


def _workspace(home: Path) -> list[Finding]:
    from flows.wiring import Linewright

    def check(name: str, act: Callable[[], str]) -> Finding:
        try:
            return Finding(name=name, ok=True, detail=act())
        except LinewrightError as error:
            return Finding(name=name, ok=False, detail=error.message, mend=error.hint)
        except OSError as error:
            refused = system_error(error)
            return Finding(name=name, ok=False, detail=refused.message, mend=refused.hint)

    first = check("workspace", lambda: str(Linewright.open(home).home))
    if not first.ok:
        return [first]
    app = Linewright.open(home)
    return [
        first,
        check("records", lambda: f"schema {app.records.schema_version}"),
        check("ledger", lambda: f"{app.records.ledger.verify()} events, chain whole"),
        check("decisions", lambda: _signed(app)),
        check("configuration", lambda: _configured(app)),
        check("lines", lambda: ", ".join(app.line(name).name for name in app.line_names()) or "none yet"),
        check(
            "data registry",
            lambda: f"{sum(len(app.registry.versions(name)) for name in app.line_names())} dataset versions",
        ),
        check("MLflow", lambda: _mlflow(app)),
    ]


def _configured(app: "Linewright") -> str:
    from agents.settings import load_agent_settings
    from components.approve.actors import Actors
    from components.approve.keys import sign
    from components.approve.rules import load_rules
    from components.models.registry import available
    from components.search.portfolio import load_spaces

    load_rules(app.config_path("gates.yaml"), {})
    load_agent_settings(app.config_path("agents.yaml"))
    load_spaces(tuple(name for name, _, _ in available()), pinned={}, path=app.config_path("search_spaces.yaml"))
    people = Actors.read(app.settings.actors).roles
    # A key is its owner's alone: one that this user may not read, or that is kept elsewhere, is not a fault.
    here = [name for name in people if os.access(app.settings.keys / f"{name}.pem", os.R_OK)]
    for name in here:
        sign(app.settings.keys, actor=name, message=b"")
    return f"gates, agents, search spaces; {len(people)} people, {len(here)} of whose keys sign here"


def _mlflow(app: "Linewright") -> str:
    found = app.tracker.describe()
    for model in app.records.models.list():
        if not app.tracker.has_version(model.line, model.mlflow_version):
            raise IntegrityError(
                f"MLflow lacks version {model.mlflow_version} of {model.line!r}, which is v{model.version} here.",
                hint="Restore MLflow's database from a backup; until then no decision reaches its aliases.",
            )
    return found


def _signed(app: "Linewright") -> str:
    """Every decision is signed and in the ledger, and what the last of each line left is what is in force."""
    from components.adapters.db.decisions import EVENTS
    from components.approve.service import verify_decision
    from components.core.contracts import Decision

    models, ledger, count = app.records.models, app.records.ledger, 0
    told = [event for kind in EVENTS.values() for event in ledger.events(kind=kind)]
    told.sort(key=lambda event: event.number)
    for line in sorted({model.line for model in models.list()} | {event.line for event in told}):
        decisions = app.records.decisions.history(line)
        for decision in decisions:
            verify_decision(app.settings.keys, decision=decision)
        events = [event for event in told if event.line == line]
        if list(decisions) != [Decision.model_validate(event.data["decision"]) for event in events]:
            raise IntegrityError(f"The decisions on line {line!r} are not those of the ledger.", hint=RESTORE)
        found = {"champion": models.champion(line), "previous": models.previous(line)}
        now = {alias: model.version if model else None for alias, model in found.items()}
        if now != (events[-1].data["after"] if events else dict.fromkeys(now)):
            raise IntegrityError(f"The champion of line {line!r} is not the one that was decided.", hint=RESTORE)
        count += len(decisions)
    return f"{count}, each as its actor signed it and as the ledger tells"
