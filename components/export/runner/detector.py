"""The exported network, and the rule that makes a verdict of a score; what `linewright.json` says of both."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import NormalDist
from typing import Any

NINETY_FIVE = NormalDist().inv_cdf(0.975)
USUAL = 0.1  # noise makes no score unsure that a larger share of normal samples reaches,
BEYOND = 1.01  # so many times as far away as the threshold's interval reaches


def opened(folder: Path) -> tuple[dict[str, Any], Callable[[Any], dict[str, Any]]]:
    """What `linewright.json` says, and the network: inputs by name → outputs by name. Changed files are refused."""
    try:
        spec, changed = _unchanged(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.exit(f"{folder} does not hold what was exported ({error}); export it again.")
    if changed:
        sys.exit(f"{folder / changed[0]} is not the file that was exported; export it again.")
    outputs, model = spec["outputs"], str(folder / spec["model"])
    if model.endswith(".onnx"):
        session = import_module("onnxruntime").InferenceSession(model, providers=["CPUExecutionProvider"])
        return spec, lambda values: dict(zip(outputs, session.run(outputs, values), strict=True))
    # Else the import is told to OpenVINO's maker over the network; the package is missing, OpenVINO takes it to be.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    # Without the hint a processor with AMX computes in 16 bits, and scores are others than those that were compared.
    network = import_module("openvino").Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(values: Any) -> dict[str, Any]:
        found = network(values)
        return {name: found[name] for name in outputs}

    return spec, run


def _unchanged(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What `linewright.json` says, less its own digest, and which files are not those that it was written beside."""
    spec = json.loads((folder / "linewright.json").read_text(encoding="utf-8"))
    said = spec.pop("sha256")
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    changed = ["linewright.json"] if hashlib.sha256(text.encode()).hexdigest() != said else []
    for name, digest in spec["files"].items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            changed.append(name)
    return spec, changed


def verdict(score: float, spread: float, rule: dict[str, Any]) -> str:
    """OK, NG, or unsure where a person's look costs less than the risk of being wrong; `spread` is the score's."""
    above = score > rule["threshold"]
    interval = rule["high"] - rule["threshold"] if above else rule["threshold"] - rule["low"]
    chance = rule["costs"]["unsure"] / rule["costs"]["false_alarm" if above else "miss"]
    if chance < 0.5:
        wider, away = NormalDist().inv_cdf(1 - chance) / NINETY_FIVE, abs(score - rule["threshold"])
        half = math.hypot(interval, NINETY_FIVE * spread) * wider
        by_noise = not above and away > BEYOND * interval * wider
        if half > 0 and away <= half and not (by_noise and score <= usual_up_to(rule)):
            return "unsure"
    return "NG" if above else "OK"


def usual_up_to(rule: dict[str, Any]) -> float:
    """The score, midway between two calibration scores, up to which more than `USUAL` of normal ones are as high."""
    before = [rule["samples"], *(larger for _, larger in rule["reference"])]
    scores = [score for score, _ in rule["reference"]]
    count = sum((1 + above) / (rule["samples"] + 1) > USUAL for above in before[: len(scores)])
    return (scores[count - 1] + scores[min(count, len(scores) - 1)]) / 2 if count else -math.inf


def p_value(score: float, rule: dict[str, Any]) -> float | None:
    """Chance that a normal sample scores as high, by the calibration scores that are kept; None where none are."""
    kept = [larger for low, larger in rule["reference"] if low < score]
    above = kept[-1] if kept else rule["samples"]
    return (1 + above) / (rule["samples"] + 1) if rule["reference"] else None


def severity(score: float, rule: dict[str, Any], bounds: dict[str, float]) -> str | None:
    """How far beyond the threshold, in units of its distance from the median; None where that is not known."""
    if rule["centre"] is None:
        return None
    if score <= rule["threshold"]:
        return "none"
    unit = rule["threshold"] - rule["centre"]
    times = (score - rule["centre"]) / unit if unit > 0 else math.inf
    return "high" if times >= bounds["high"] else "medium" if times >= bounds["medium"] else "low"


def answer(score: float, spread: float, spec: dict[str, Any]) -> dict[str, Any]:
    """All that is said of a score; `uncertainty` is half the 95 % interval of its distance from the threshold."""
    rule = spec["calibration"]
    return {
        "score": score,
        "threshold": rule["threshold"],
        "uncertainty": math.hypot((rule["high"] - rule["low"]) / 2, NINETY_FIVE * spread),
        "verdict": verdict(score, spread, rule),
        "p_value": p_value(score, rule),
        "severity": severity(score, rule, spec["severity"]),
    }


def tell(said: dict[str, Any]) -> None:
    """Print it at once; where nobody reads or the disk is full, no file is to blame and nothing more can be said."""
    try:
        print(json.dumps(said), flush=True)  # noqa: T201
    except OSError as error:
        print(f"The answers cannot be written: {error}", file=sys.stderr)  # noqa: T201
        os._exit(1)  # any other end would try to write the rest once more
