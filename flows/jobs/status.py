"""Where each line stands, and what to do next; reads records and tags, nothing heavy."""

from typing import Any

from flows.wiring import Linewright


def line_status(app: Linewright, name: str) -> dict[str, Any]:
    """One line's data, models, drift and retrain, as plain values."""
    records = app.records
    latest = app.registry.latest(name)
    champion = records.models.champion(name)
    waiting = [model.version for model in records.models.list(name, status="candidate")]
    check = records.drift.latest(name)
    retrains = records.retrains.list(name, limit=1)
    pending = records.requests.pending(name)
    status: dict[str, Any] = {
        "line": name,
        "dataset": latest.tag if latest else "",
        "champion": champion.version if champion else None,
        "candidates": waiting,
        "drift": check.report.verdict if check else "",
        "retrain": retrains[0].state if retrains else "",
        "requested": pending.reason if pending else "",
    }
    return {**status, "next": _next(name, status)}


def _next(name: str, status: dict[str, Any]) -> str:
    if not status["dataset"]:
        return f"linewright ingest {name}"
    if status["retrain"] == "running":
        return "wait for the retrain"
    if status["retrain"] == "unfinished" or status["requested"]:
        return f"linewright retrain {name}"
    if status["candidates"]:
        return f"linewright show {name} {status['candidates'][0]}"
    if status["champion"] is None:
        return f"linewright retrain {name}"
    return f"linewright drift {name}"
