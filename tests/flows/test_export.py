"""`linewright export` on a registered model: what leaves runs by itself, what is refused leaves a record alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.core.errors import ConflictError, RefusedError, UnavailableError
from components.core.hashing import sha256_file
from components.export.runner import detector
from flows.jobs import export
from flows.jobs.export import export_model

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def exported(story, linewright):
    return linewright.good("export", "pump", "1", "--format", "onnx", "--json").json[0]


def events(linewright, kind):
    records = linewright.open().records
    return [event for event in records.ledger.events("pump") if event.kind == kind]


def test_the_export_says_what_score_says(exported, story, linewright):
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    command = [sys.executable, "-I", f"{exported['folder']}/run.py", str(source)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]}
    )
    assert (done.returncode, done.stderr) == (0, "")
    mine = [json.loads(line) for line in done.stdout.splitlines()]
    theirs = linewright.good("score", "pump", str(source), "--json").json
    assert {one["model_version"] for one in theirs} == {1}
    assert [(one["start"], one["end"], one["verdict"]) for one in mine] == [
        (one["start"], one["end"], one["verdict"]) for one in theirs
    ]
    assert [one["score"] for one in mine] == pytest.approx([one["score"] for one in theirs], rel=1e-5)


def test_it_is_recorded(exported, linewright):
    event = events(linewright, "model exported")[-1]
    assert event.actor == "operator"
    assert event.data["format"] == "onnx"
    assert event.data["sha256"] == exported["sha256"] == sha256_file(Path(exported["folder"], "linewright.json"))
    assert event.data["figures"]["flips"] == 0
    tree = linewright.good("lineage", "pump", "1", "--json").json[0]
    assert [node["name"] for node in tree["nodes"] if node["kind"] == "export"] == [exported["sha256"]]


def test_it_says_whether_a_person_approved_the_version(exported, linewright):
    status = linewright.open().records.models.get("pump", 1).status
    described = json.loads(Path(exported["folder"], "linewright.json").read_text(encoding="utf-8"))
    tree = linewright.good("lineage", "pump", "1", "--json").json[0]
    event = events(linewright, "model exported")[0].data
    told = next(node["facts"] for node in tree["nodes"] if node["kind"] == "export")
    for said in (exported, described, event, told):
        assert (said["status"], said["approved_by"]) == (status, "operator")
    assert f"this version was {status}, approved by operator." in Path(exported["folder"], "README.txt").read_text()


def test_a_candidate_leaves_with_the_word_that_nobody_approved_it(exported, linewright, monkeypatch):
    app = linewright.open()
    monkeypatch.setattr(app.records.decisions, "history", lambda *_: ())
    found = export_model(
        app, "pump", version=1, format_name="onnx", out=linewright.folder / "unapproved", actor="operator"
    )
    assert found.subject.approval == "which nobody has approved"
    assert events(linewright, "model exported")[-1].data["approved_by"] == ""
    assert ", which nobody has approved." in (found.folder / "README.txt").read_text()


def test_a_rejected_version_stays(exported, linewright, monkeypatch):
    app = linewright.open()
    rejected = app.records.models.get("pump", 1).model_copy(update={"status": "rejected"})
    monkeypatch.setattr(app.records.models, "get", lambda *_: rejected)
    folder = linewright.folder / "rejected" / "here"
    with pytest.raises(RefusedError, match=r"pump v1 was rejected by operator: "):
        export_model(app, "pump", version=1, format_name="onnx", out=folder, actor="operator")
    assert not folder.parent.exists()


def test_an_export_that_flips_verdicts_is_refused_and_leaves_its_record_alone(exported, linewright, monkeypatch):
    def noisy(folder):
        spec, network = opened(folder)
        return spec, lambda values: {"score": network(values)["score"][::-1]}

    opened = detector.opened
    monkeypatch.setattr(detector, "opened", noisy)
    app = linewright.open()
    folder = linewright.folder / "refused" / "here"
    with pytest.raises(RefusedError, match=r"refused: .*verdicts flip|refused: .*correlation"):
        export_model(app, "pump", version=1, format_name="onnx", out=folder, actor="operator")
    assert list(folder.parent.iterdir()) == []
    event = events(linewright, "export refused")[-1]
    assert event.data["because"]
    assert event.data["figures"]["pearson"] < 0.95


def test_two_exports_do_not_write_to_one_folder_at_once(exported, linewright, monkeypatch):
    def meanwhile(*_, **__):
        with pytest.raises(ConflictError, match=f"Another export writes to {folder}"):
            export_model(app, "pump", version=1, format_name="onnx", out=folder, actor="operator")
        raise UnavailableError("Enough.")

    app = linewright.open()
    folder = linewright.folder / "twice" / "here"
    monkeypatch.setattr(export, "make_export", meanwhile)
    with pytest.raises(UnavailableError, match="Enough"):
        export_model(app, "pump", version=1, format_name="onnx", out=folder, actor="operator")
    assert list(folder.parent.iterdir()) == []


def test_nothing_leaves_that_the_records_do_not_know(exported, linewright, monkeypatch):
    def silent(*_):
        raise UnavailableError("The tracking server does not answer.")

    app = linewright.open()
    known = events(linewright, "model exported")
    monkeypatch.setattr(app.tracker, "log_file", silent)
    folder = linewright.folder / "unrecorded" / "here"
    with pytest.raises(UnavailableError):
        export_model(app, "pump", version=1, format_name="onnx", out=folder, actor="operator")
    assert list(folder.parent.iterdir()) == []
    assert events(linewright, "model exported") == known


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1", "--format", "tflite"], "no export format 'tflite'"),
        (["77"], "77"),
        (["1", "--format", "openvino-int8"], "no backbone"),
        (["1"], "not empty"),
        (["1", "--out", f"{__file__}/out"], f"{__file__}/out cannot be made: "),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(arguments, said, exported, linewright):
    done = linewright("export", "pump", *arguments)
    assert done.code == 1
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert said in done.err
