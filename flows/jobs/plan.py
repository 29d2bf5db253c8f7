"""What a retrain would do, decided before anything heavy starts; and whether it was done already."""

import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from components.approve.rules import load_rules
from components.core.contracts import DatasetVersion, ModelVersion, now
from components.core.errors import NotEnoughDataError
from components.core.hashing import folder_hashes, sha256_file, sha256_json
from components.core.lines import LineConfig
from flows.jobs.show import current_gate
from flows.wiring import Linewright

ROOT = Path(__file__).parents[2]
CODE = ("agents", "components/core", "components/metrics", "components/models", "components/samples",
        "components/search", "components/train", "components/evaluate", "components/explain")  # fmt: skip
MODULES = ("components/approve/gate.py", "components/approve/rules.py", "components/version/blocks.py",
           "flows/data.py", "flows/jobs/explaining.py", "flows/jobs/modelling.py", "flows/jobs/searching.py",
           "flows/jobs/stages.py")  # fmt: skip
"""Folders and modules whose code decides what a retrain produces."""

IRRELEVANT = {"schedule", "drift", "source", "budget", "seed"}
"""Keys of a line that do not change what a retrain of given data, budget and seed produces."""


@dataclass(frozen=True, kw_only=True)
class RetrainPlan:
    """One retrain that was asked for.

    Attributes:
        key: Digest of data, configuration, budget, seed and code: equal keys give equal models.
        identity: Of the retrain: that of a killed one of the same key, which goes on, or a new one.
        done: The model version that a retrain of the same key registered, if there is one; none that waits and was
            compared with another champion than today's.
    """

    app: Linewright
    line: LineConfig
    version: DatasetVersion
    budget: int
    seed: int
    actor: str
    request: str
    key: str
    identity: str
    done: ModelVersion | None


@cache
def code_digest() -> str:
    """SHA-256 over the Python files that decide what a retrain produces."""
    hashes = {
        f"{folder}/{path}": digest
        for folder in CODE
        for path, digest in folder_hashes(ROOT / folder).items()
        if path.endswith((".py", ".yaml"))
    }
    return sha256_json({**hashes, **{path: sha256_file(ROOT / path) for path in MODULES}})


def plan_retrain(
    app: Linewright, name: str, *, budget: int | None, seed: int | None, actor: str, request: str = ""
) -> RetrainPlan:
    """Plan a retrain of the line's newest data.

    Raises:
        NotEnoughDataError: The line has no dataset version yet.
        ConfigError: An entry of its gates is unknown or out of its range.
    """
    line = app.line(name)
    load_rules(app.config_path("gates.yaml"), line.gates)  # refused now, not by the gate, after the whole search
    version = app.registry.latest(name)
    if version is None:
        raise NotEnoughDataError(f"Line {name!r} has no data yet.", hint=f"Ingest some: linewright ingest {name}")
    trials = line.budget if budget is None else budget
    chosen = line.seed if seed is None else seed
    key = sha256_json(
        {
            "line": line.model_dump(mode="json", exclude=IRRELEVANT),
            "manifest": version.manifest_sha256,
            "budget": trials,
            "seed": chosen,
            "code": code_digest(),
            "configs": {path: app.config_text(path) for path in ("gates.yaml", "agents.yaml", "search_spaces.yaml")},
        }
    )
    unfinished = app.records.retrains.open(name)
    done = app.records.retrains.find_done(name, key)
    if done is not None and current_gate(app, done) != done.gate:
        done = None
    return RetrainPlan(
        app=app,
        line=line,
        version=version,
        budget=trials,
        seed=chosen,
        actor=actor,
        request=request,
        key=key,
        identity=unfinished.retrain_id if unfinished and unfinished.key == key else _new_identity(),
        done=done,
    )


def settle_request(plan: RetrainPlan, model: ModelVersion) -> None:
    """Mark the line's pending request for a retrain as answered by the one that made `model`."""
    requests = plan.app.records.requests
    pending = requests.pending(plan.line.name)
    if pending is not None:
        requests.close(pending.request_id, model.retrain)


def _new_identity() -> str:
    return f"{now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
