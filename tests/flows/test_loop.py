"""The loop of one table line and one image line, and what each command promises in JSON."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.server

VERDICT = {"verdict_id", "sample", "path", "score", "threshold", "verdict", "uncertainty", "model_version",
           "p_value", "severity"}  # fmt: skip
SHAPLEY = {"shapley_seeds", "shapley_exact", "shapley_over_time_seeds", "shapley_over_time_exact"}


def covered(verdicts: Iterable[dict[str, Any]]) -> set[int]:
    return {row for found in verdicts for row in range(found["start"], found["end"])}


def test_ingest_counts_and_makes_a_version(story):
    (first,), (second,) = story["ingest"].json, story["ingest 2"].json
    assert first["created_version"]
    assert (first["version"]["number"], second["version"]["number"]) == (1, 2)
    assert first["added"] == sum(sum(labels.values()) for labels in first["version"]["counts"].values())
    assert first["quarantined"] == []
    assert second["duplicates"] == first["added"]


def test_an_ingest_of_nothing_new_makes_no_version(story, linewright):
    (found,) = linewright.good("ingest", "pump", "--json").json
    assert (found["created_version"], found["added"], found["version"]["number"]) == (False, 0, 2)


def test_retrain_makes_candidates(story):
    (made,) = story["retrain"].json
    checks = made.pop("checks")
    (shown,) = story["show"].json
    assert made == {"line": "pump", "version": 1, "changed": True, "gate": shown["gate"]["status"]}
    assert set(checks) == SHAPLEY
    (found,) = story["candidates"].json
    assert {key: found[key] for key in ("line", "version", "status")} == {
        "line": "pump",
        "version": 1,
        "status": "candidate",
    }
    assert found["created"].endswith("+00:00")
    (status,) = story["status"].json
    assert (status["dataset"], status["champion"], status["candidates"]) == ("pump/v1", None, [1])
    assert status["next"] == "linewright show pump 1"
    assert [found["version"] for found in story["candidates 2"].json] == [2]


def test_show_says_all_of_a_version(story):
    (found,), (second,) = story["show"].json, story["show 2"].json
    for name in ("image_auroc", "average_precision", "f1", "recall", "false_alarm_rate", "latency_ms"):
        metric = found["metrics"][name]
        assert metric["low"] <= metric["value"] <= metric["high"]
    assert (found["dataset_version"], found["status"]) == ("pump/v1", "candidate")
    assert found["params"]["epochs"] >= 1
    assert found["calibration"]["low"] <= found["threshold"] <= found["calibration"]["high"]
    conditions = {item["name"]: item["status"] for item in found["gate"]["conditions"]}
    assert set(conditions) == {"non_inferior_auroc", "false_alarm_budget", "latency_ms", "no_leak"}
    assert set(conditions.values()) <= {"met", "failed", "unmeasured"}
    assert [event["action"] for event in found["history"]] == ["register"]
    assert found["looks"] == 1
    assert {item["name"]: item["status"] for item in found["checks"]} == story["retrain"].json[0]["checks"]
    assert all(item["value"] <= item["limit"] for item in found["checks"] if item["status"] == "met")
    assert {"checks.json", "cells.parquet", "blocks.parquet"} <= set(found["explanations"])
    assert found["champion_metrics"] is None
    assert set(second["champion_metrics"]) == set(second["metrics"])
    assert second["gate"]["status"] == story["retrain 2"].json[0]["gate"]


def test_every_row_of_a_table_has_a_verdict(story):
    verdicts = story["score"].json
    assert all(set(found) >= VERDICT | {"start", "end"} for found in verdicts)
    assert covered(verdicts) == set(range(1500))
    assert len({found["verdict_id"] for found in verdicts}) == len(verdicts)
    for found in verdicts:
        assert found["verdict"] in {"OK", "NG", "unsure"}
        if found["verdict"] != "unsure":
            assert (found["score"] > found["threshold"]) == (found["verdict"] == "NG")


@pytest.mark.parametrize("rows", [10, 57])
def test_a_rest_of_rows_is_covered_too(story, linewright, tmp_path, rows):
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    path = tmp_path / "rest.csv"
    path.write_text("".join(source.read_text().splitlines(keepends=True)[: rows + 1]))
    assert covered(linewright.good("score", "pump", str(path), "--json").json) == set(range(rows))


def test_a_relative_path_means_the_same_file_later(story, linewright):
    (linewright.cwd / "here.csv").write_bytes((linewright.folder / "sources" / "pump" / "pump-1.csv").read_bytes())
    try:
        first = linewright.good("score", "pump", "here.csv", "--json").json[0]
    finally:
        (linewright.cwd / "here.csv").unlink()
    assert first["path"] == str(linewright.cwd / "here.csv")


def test_a_verdict_on_a_file_that_changed_is_not_explained(story, linewright, tmp_path):
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    lines = source.read_text().splitlines(keepends=True)[:31]
    path = tmp_path / "later.csv"
    path.write_text("".join([lines[0], *(line.replace(",", ",1", 1) for line in lines[1:])]))
    verdict = linewright.good("score", "pump", str(path), "--json").json[0]["verdict_id"]
    path.write_text("".join(lines))
    refused = linewright("explain", "pump", verdict)
    assert refused.code == 1
    assert f"{path} is gone or has changed since it was scored" in refused.err
    path.write_text(lines[0])
    assert "has changed since it was scored" in linewright("explain", "pump", verdict).err


def test_explain_adds_up(story):
    (found,) = story["explain"].json
    total = found["base"] + sum(item["value"] for item in found["shap"])
    assert total == pytest.approx(found["score"], abs=1e-3)
    assert found["score"] == max(verdict["score"] for verdict in story["score"].json)
    assert Path(found["picture"]).is_file()
    assert Path(found["time_picture"]).is_file()
    assert sum(block["value"] for block in found["blocks"]) == pytest.approx(found["score"] - found["base"], abs=1e-3)
    assert [found["blocks"][0]["rows"][0], found["blocks"][-1]["rows"][1]] == found["rows"]
    assert {check.split()[0] for check in found["checks"]} == SHAPLEY


def test_lineage_leads_from_a_verdict_to_the_source_file(story):
    (graph,) = story["lineage"].json
    nodes = {node["id"]: node for node in graph["nodes"]}
    reached, waiting = set(), [graph["root"]]
    while waiting:
        here = waiting.pop()
        reached.add(here)
        waiting += [
            edge["target"] for edge in graph["edges"] if edge["source"] == here and edge["target"] not in reached
        ]
    kinds = {nodes[name]["kind"] for name in reached}
    assert kinds >= {"verdict", "model", "trial", "dataset", "sample", "file", "source"}
    assert "pump-1.csv" in {nodes[name]["name"] for name in reached if nodes[name]["kind"] == "source"}


def test_drift_gives_a_verdict_with_effects(story):
    (found,) = story["drift"].json
    assert found["verdict"] in {"drift", "no drift"}
    assert (found["reference"], found["check"]) == ("pump/v1", 1)
    assert found["features"]
    assert all(item["drifted"] == (item["distance"] > item["threshold"]) for item in found["features"])


def test_what_the_gate_cannot_measure_needs_a_word(story):
    assert story["retrain 2"].json[0]["gate"] != "met"
    assert story["approve plainly"].code == 1
    assert "--accept-unmeasured" in story["approve plainly"].err
    assert (story["approve 2"].code, story["approve 2"].err) == (0, "")


def test_rollback_swaps_champion_and_previous_and_mlflow_follows(story, linewright):
    assert story["aliases"].json == [{"champion": 2, "previous": 1}]
    assert linewright.aliases("pump") == {"champion": 1, "previous": 2}
    (first,) = linewright.good("show", "pump", "1", "--json").json
    (second,) = linewright.good("show", "pump", "2", "--json").json
    assert (first["status"], second["status"]) == ("champion", "previous")
    assert [event["action"] for event in first["history"]] == ["register", "approve", "rollback"]
    assert first["history"][-1]["reason"] == "too many alarms"


def test_show_without_a_number_lists_every_version_the_newest_first(story, linewright):
    listed = linewright.good("show", "pump", "--json").json
    assert [(found["version"], found["status"]) for found in listed] == [(2, "previous"), (1, "champion")]
    assert listed[1]["detector"] == story["show"].json[0]["detector"]
    rows = linewright.good("show", "pump").out.splitlines()
    assert rows[0] == "Versions of pump"
    assert [row.split()[:3] for row in rows[2:]] == [["pump", "v2", "previous"], ["pump", "v1", "champion"]]


def test_tables_for_people_say_what_comes_next(story, linewright):
    assert "pump/v2" in linewright.good("status").out
    shown = linewright.good("show", "pump", "1").out
    assert "image_auroc" in shown
    assert "Threshold" in shown
    tree = linewright.good("lineage", "pump").out
    assert "model pump/1" in tree
    assert "pump-1.csv" in tree
    (graph,) = linewright.good("lineage", "pump", "--json").json
    used = sum(edge["relation"] == "trains with" for edge in graph["edges"])
    assert used > 80
    assert f"trains with {used - 3} more of kind sample, which --json prints" in tree
    assert len(tree.splitlines()) < 50
    assert linewright.good("candidates", "pump").out.startswith("Nothing waits for approval.")
    assert "nothing new, still at pump/v2" in linewright.good("ingest", "pump").out
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    scored = linewright.good("score", "pump", str(source)).out
    assert "150 verdicts by v1" in scored
    worst = next(row for row in scored.splitlines() if row.startswith("pump-1.csv["))
    for command in ("explain", "lineage"):
        assert "pump-1.csv" in linewright.good(command, "pump", worst.split()[-1]).out
    (sample,) = re.findall(r"judges sample (\w+)…", linewright.good("lineage", "pump", worst.split()[-1]).out)
    assert "pump-1.csv" in linewright.good("explain", "pump", sample).out
    assert f"sample {sample}" in linewright.good("lineage", "pump", sample).out


def test_normal_images_alone_are_enough(texture, linewright):
    verdicts = linewright.good("score", "texture", str(texture), "--json").json
    assert len(verdicts) == 4
    assert all(set(found) >= VERDICT for found in verdicts)
    assert not any({"start", "end"} & set(found) for found in verdicts)
    for found in verdicts:
        with Image.open(found["path"]) as image, Image.open(linewright.home / found["overlay"]) as heat:
            assert heat.size == image.size
            assert np.asarray(heat).std() > 0
    (shown,) = linewright.good("show", "texture", "1", "--json").json
    (explained,) = linewright.good("explain", "texture", verdicts[0]["verdict_id"], "--json").json
    assert explained["score"] == pytest.approx(verdicts[0]["score"])
    assert shown["calibration"]["method"] == "cross"
    assert shown["metrics"]["image_auroc"]["value"] is None
    assert [item["name"] for item in shown["checks"]] == ["heat_map_deletion"]
    assert explained["deletion"]["marked_filled"] < explained["score"]
    assert explained["checks"][0].startswith("deletion test: the score is")


def test_a_csv_column_more_is_no_matter_for_score(story, linewright, tmp_path):
    with (linewright.folder / "sources" / "pump" / "pump-1.csv").open(newline="") as file:
        rows = list(csv.reader(file))[:21]
    path = tmp_path / "more.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*row, "note"] for row in rows)
    assert covered(linewright.good("score", "pump", str(path), "--json").json) == set(range(20))


def test_nothing_is_written_into_the_current_folder(story, texture, linewright):
    assert list(linewright.cwd.iterdir()) == []
