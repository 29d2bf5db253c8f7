import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.adapters.db import Lease, Records
from components.audit.graph import LineageGraph
from components.audit.lineage import descent, lineage
from components.core.contracts import DatasetVersion
from components.core.errors import ConfigError, UnknownVersionError
from components.testing.records import a_calibration, a_dataset, a_decision, a_drift_report, a_model, a_verdict


class Registry:
    """Two dataset versions: v1 holds a and t, v2 also b and c."""

    def dataset(self, line: str, number: int) -> DatasetVersion:
        return a_dataset(line, number=number)

    def newest(self, line: str) -> DatasetVersion | None:
        return a_dataset(line, number=2) if line == "press" else None

    def samples(self, line: str, number: int) -> Iterable[Mapping[str, Any]]:
        rows = [_row("a", "train", 1), _row("b", "train", 2), _row("c", "calibration", 2), _row("t", "test", 1)]
        return [row for row in rows if line == "press" and row["added_in"] <= number]


def _row(sample: str, split: str, added: int) -> dict[str, Any]:
    of_file = {"sample": sample, "file": f"file-of-{sample}", "path": f"good/{sample}.png", "start": 0, "end": 0}
    known = {"label": "normal", "label_source": "folder", "defect": "", "mask": "", "fingerprint": b""}
    return {**of_file, **known, "group": "g", "split": split, "sealed": split == "test", "added_in": added}


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made = Records.create(f"sqlite:///{tmp_path / 'r.db'}", busy_timeout=5)
    lease = made.leases.acquire("press", holder="test:1:1:", ttl=600)
    _train(made, lease, "r1", dataset=1)
    made.decisions.decide(a_decision(1), expected_champion=None)
    check = made.drift.add(a_drift_report(), champion=1, html="")
    asked = made.requests.request_retrain("press", reason="drift", drift_check=check)
    _train(made, lease, "r2", dataset=2, request=f"drift check {check}: product")
    made.requests.close(asked.request_id, "r2")
    made.verdicts.add([a_verdict("v1", sample="a"), a_verdict("v2", sample="new", path="c/new.png")])
    made.verdicts.add([a_verdict("v3", sample="b", model_version=2)])
    return made


def _train(records: Records, lease: Lease, retrain: str, *, dataset: int, request: str = "") -> None:
    facts = {"key": retrain, "dataset": dataset, "actor": "operator", "config": {}, "request": request}
    records.retrains.begin(lease, retrain_id=retrain, **facts)
    checks = [{"name": "heat_map_deletion", "status": "failed", "value": -0.1, "limit": 0.0}] if request else []
    calibration = a_calibration(method="cross" if request else "split")
    made = a_model(retrain=retrain, dataset=dataset, request=request, checks=checks, calibration=calibration)
    records.models.register(lease, made)
    records.retrains.finish(lease, retrain, "done", {})


def paths(graph: LineageGraph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges}


def test_from_a_verdict_to_its_source_file_and_to_the_model_s_data(records: Records) -> None:
    graph = lineage(records, Registry(), "press", verdict="v1")
    assert graph.root == "verdict:v1"
    assert paths(graph) == {
        ("verdict:v1", "sample:a"),
        ("sample:a", "file:file-of-a"),
        ("file:file-of-a", "source:good/a.png"),
        ("verdict:v1", "model:press/1"),
        ("model:press/1", "decision:press/1#1"),
        ("model:press/1", "retrain:r1"),
        ("retrain:r1", "trial:press-1/0"),
        ("trial:press-1/0", "dataset:press/v1"),
        ("dataset:press/v1", "sample:a"),
    }
    facts = {node.id: node.facts for node in graph.nodes}
    assert facts["verdict:v1"]["score"] == 1.5
    assert facts["model:press/1"]["verdicts"] == {"OK": 0, "NG": 2, "unsure": 0}
    assert facts["dataset:press/v1"]["manifest_sha256"] == "b" * 64
    assert facts["dataset:press/v1"]["revision"] == "a" * 40
    assert facts["trial:press-1/0"]["params"] == {"k": 3}
    assert facts["decision:press/1#1"]["actor"] == "operator"
    assert facts["sample:a"]["label"] == "normal"
    json.dumps(graph.model_dump(mode="json"))


def test_a_sample_that_was_never_ingested_still_has_a_path(records: Records) -> None:
    graph = lineage(records, Registry(), "press", verdict="v2")
    assert ("verdict:v2", "sample:new") in paths(graph)
    assert ("sample:new", "source:c/new.png") in paths(graph)
    facts = {node.id: node.facts for node in graph.nodes}
    assert facts["sample:new"] == {"dataset": "in no dataset version"}


def test_a_version_leads_to_the_drift_that_asked_for_it(records: Records) -> None:
    graph = lineage(records, Registry(), "press", version=2)
    kinds = [node.kind for node in graph.nodes]
    assert graph.root == "model:press/2"
    assert {"request", "drift"} < set(kinds)
    assert graph.nodes[0].facts["checks"] == {"heat_map_deletion": "failed"}  # of its explanations: kept, not hidden
    # Calibrated across folds, it was fitted on the calibration samples, too.
    assert [node.name for node in graph.nodes if node.kind == "sample"] == ["a", "b", "c"]
    assert [node.facts["detail"] for node in graph.nodes if node.kind == "drift"] == ["brightness fell"]


def test_without_a_subject_the_champion_is_followed(records: Records) -> None:
    assert lineage(records, Registry(), "press").root == "model:press/1"
    with pytest.raises(UnknownVersionError, match="has no model version"):
        lineage(records, Registry(), "mill")


def test_a_verdict_of_another_line_is_not_found(records: Records) -> None:
    with pytest.raises(UnknownVersionError, match="version 1 of line 'press'"):
        lineage(records, Registry(), "mill", verdict="v1")


def test_from_data_to_models_and_verdicts(records: Records) -> None:
    assert paths(descent(records, Registry(), "press", dataset=1)) == {
        ("dataset:press/v1", "model:press/1"),
        ("model:press/1", "verdict:v1"),
        ("model:press/1", "verdict:v2"),
    }
    by_sample = descent(records, Registry(), "press", sample="b")
    assert paths(by_sample) == {("sample:b", "verdict:v3"), ("sample:b", "model:press/2")}
    by_file = descent(records, Registry(), "press", file="file-of-a")
    with pytest.raises(UnknownVersionError, match="More than one file of line 'press' begins with 'file-of-'"):
        descent(records, Registry(), "press", file="file-of-")
    assert by_file.root == "file:file-of-a"
    assert paths(by_file) == {
        ("file:file-of-a", "sample:a"),
        ("sample:a", "verdict:v1"),
        ("sample:a", "model:press/1"),
        ("sample:a", "model:press/2"),
    }


def test_sealed_labels_stay_sealed(records: Records) -> None:
    graph = descent(records, Registry(), "press", sample="t")
    assert "label" not in graph.nodes[0].facts
    assert graph.nodes[0].facts["split"] == "test"


def test_what_is_not_there_is_told(records: Records) -> None:
    with pytest.raises(UnknownVersionError, match="no sample 'z'"):
        descent(records, Registry(), "press", sample="z")
    with pytest.raises(ConfigError, match="Ask for one"):
        descent(records, Registry(), "press")
    with pytest.raises(ConfigError, match="Ask for one"):
        descent(records, Registry(), "press", sample="a", file="b")
