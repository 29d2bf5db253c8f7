"""What cannot work: one clear line on standard error, an exit code that is not 0, and nothing half-made."""

import csv
import json
from pathlib import Path

import pytest

from components.core.lines import dump_line

pytestmark = pytest.mark.server


@pytest.fixture
def refused(linewright):
    """Runs a command that must fail in one clear line; returns that line."""

    def run(*args: str, home: Path | None = None) -> str:
        found = linewright(*args, home=home)
        assert found.code == 1, f"{args}: {found}"
        assert found.err.startswith("Error: "), found.err
        assert found.err.count("\n") == 1, found.err
        return found.err

    return run


@pytest.fixture
def before(story, linewright):
    """The workspace's lines, versions, models, decisions and ledger must be the same after the test."""

    def state():
        app = linewright.open()
        tags = {name: [found.tag for found in app.registry.versions(name)] for name in ("pump", "other")}
        models = [(model.line, model.version, model.status) for model in app.records.models.list()]
        return app.line_names(), tags, models, app.records.ledger.verify(), list((app.home / "retrains").iterdir())

    first = state()
    yield
    assert state() == first


def test_unknown_lines(before, refused):
    assert "Did you mean 'pump'?" in refused("ingest", "pmup")
    for command in (["retrain"], ["drift"], ["candidates"], ["lineage"], ["line", "remove"]):
        assert "There is no line 'pmup'." in refused(*command, "pmup")
    assert "There is no line 'pmup'." in refused("score", "pmup", ".")
    assert "There is no line 'pmup'." in refused("show", "pmup", "1")
    assert "There is no line 'pmup'." in refused("approve", "pmup", "1", "--reason", "x")
    assert "There is no line 'pmup'." in refused("rollback", "pmup", "--reason", "x")


@pytest.mark.parametrize("name", ["Pump", "../pump", "a b", "pump/v1", "x" * 60, ".hidden", "pümp", "a..b", "a.lock"])
def test_bad_line_names(before, refused, linewright, name):
    refused("line", "add", name, "--modality", "table", "--source", str(linewright.folder))


def test_bad_lines(before, refused, linewright):
    source = str(linewright.folder / "sources" / "pump")
    gone = str(linewright.folder / "gone")
    assert gone in refused("line", "add", "other", "--modality", "image", "--source", gone)
    assert "There is a line 'pump' already." in refused(
        "line", "add", "pump", "--modality", "table", "--source", source
    )
    assert "window" in refused("line", "add", "other", "--modality", "table", "--source", source, "--window", "0")
    assert "nonsense" in refused(
        "line", "add", "other", "--modality", "image", "--source", source, "--detector", "nonsense"
    )
    table, image = (("line", "add", "other", "--modality", kind, "--source", source) for kind in ("table", "image"))
    assert "--labels-file says nothing of a line of tables." in refused(*table, "--labels-file", "labels.csv")
    assert "stride 6 is larger than window 5: rows would never be seen" in refused(
        *table, "--window", "5", "--stride", "6"
    )
    assert "--window says nothing of a line of images." in refused(*image, "--window", "5")
    assert "--exclude says nothing of a line of images." in refused(*image, "--exclude", "flow")
    assert "source" in refused("line", "add", "other", "--modality", "table", "--source", "")


def test_bad_retrains(before, refused):
    assert "A budget of 0 trials trains nothing." in refused("retrain", "pump", "--budget", "0")
    assert "Seed -1 is out of range." in refused("retrain", "pump", "--seed", "-1")


def test_bad_decisions(before, refused):
    assert "no model version 9" in refused("approve", "pump", "9", "--reason", "x")
    assert "no model version 9" in refused("show", "pump", "9")
    assert "no model version 9" in refused("lineage", "pump", "9")
    assert f"no verdict '{'a' * 32}'" in refused("lineage", "pump", "a" * 32)
    assert "mallory" in refused("approve", "pump", "1", "--reason", "x", "--as", "mallory")
    assert "mallory" in refused("rollback", "pump", "--reason", "x", "--as", "mallory")
    assert "reason" in refused("rollback", "pump", "--reason", "  ").lower()
    assert "champion" in refused("approve", "pump", "1", "--reason", "again")
    assert "There is no role 'king'." in refused("key", "add", "ada", "--role", "king")


def test_the_source_is_gone(before, refused, linewright):
    source = linewright.folder / "sources" / "pump"
    source.rename(source.with_name("away"))
    try:
        assert str(source) in refused("ingest", "pump")
    finally:
        source.with_name("away").rename(source)


@pytest.fixture
def other(linewright):
    """Adds the line `other` over a folder, and takes it away after the test."""
    path = linewright.open().line_path("other")

    def add(modality: str, source: Path) -> None:
        linewright.good("line", "add", "other", "--modality", modality, "--source", str(source))

    yield add
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("modality", ["image", "table"])
def test_an_empty_folder(story, refused, other, linewright, tmp_path, modality):
    other(modality, tmp_path)
    assert str(tmp_path) in refused("ingest", "other")
    assert "no data yet" in refused("retrain", "other")
    assert "no champion yet. Make one: linewright retrain other" in refused("drift", "other")
    assert "no champion yet" in refused("score", "other", str(tmp_path))
    assert "no model version" in refused("lineage", "other")
    assert linewright.open().registry.versions("other") == []


def test_a_folder_without_normal_samples(texture, refused, other, linewright, tmp_path):
    bad = tmp_path / "test" / "dent"
    bad.mkdir(parents=True)
    for number, path in enumerate(sorted(texture.rglob("*.png"))):
        (bad / f"{number}.png").write_bytes(path.read_bytes())
    other("image", tmp_path)
    assert "no normal samples" in refused("ingest", "other")
    assert "no data yet" in refused("retrain", "other")
    assert linewright.open().registry.versions("other") == []


def test_a_csv_whose_columns_changed(before, refused, linewright):
    source = linewright.folder / "sources" / "pump"
    with (source / "pump-1.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    (source / "pump-9.csv").write_text("".join(f"{','.join([*row[:2], *row[3:]])}\n" for row in rows[:50]))
    missing = source / "pump-9.csv"
    try:
        assert "pressure_bar" in refused("score", "pump", str(missing))
        assert linewright("score", "pump", str(missing), "--json").out == ""
    finally:
        missing.unlink()


def test_a_changed_csv_goes_to_quarantine_with_its_reason(story, refused, other, linewright, tmp_path):
    lines = (linewright.folder / "sources" / "pump" / "pump-1.csv").read_text().splitlines(keepends=True)
    (tmp_path / "1.csv").write_text("".join(lines[:801]))
    other("table", tmp_path)
    linewright.good("ingest", "other")
    (tmp_path / "2.csv").write_text("".join(line.partition(",")[2] for line in lines[:50]).replace("flow", "f"))
    found = linewright("ingest", "other", "--json")
    if found.code:
        assert "2.csv" in found.err
    else:
        (summary,) = found.json
        assert [item["path"] for item in summary["quarantined"]] == ["2.csv"]
        assert summary["added"] == 0


def test_files_that_are_no_images(texture, refused, linewright, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert "No file has a verdict." in refused("score", "texture", str(tmp_path / "torn.png"))
    assert "does not exist" in refused("score", "texture", str(tmp_path / "none.png"))
    (tmp_path / "empty").mkdir()
    assert "nothing to score" in refused("score", "texture", str(tmp_path / "empty"))
    good = sorted(texture.rglob("*.png"))[0]
    (tmp_path / "whole.png").write_bytes(good.read_bytes())
    mixed = linewright("score", "texture", str(tmp_path), "--json")
    assert mixed.code == 1
    assert [Path(found["path"]).name for found in mixed.json] == ["whole.png"]
    assert "torn.png" in mixed.err
    assert "The others have their verdicts." in mixed.err


def test_a_false_discovery_rate_that_cannot_be_held(story, refused):
    assert "needs 99999 normal calibration samples" in refused("score", "pump", ".", "--fdr", "1e-5")
    assert "between 0 and 1" in refused("score", "pump", ".", "--fdr", "2")


def test_a_false_alarm_rate_that_the_samples_cannot_support(story, refused, linewright):
    app = linewright.open()
    path, line = app.line_path("pump"), app.line("pump")
    text, models = path.read_text(), app.records.models.list("pump")
    try:
        path.write_text(dump_line(line.model_copy(update={"false_alarms": 1e-6})))
        assert "needs 999999 normal calibration samples" in refused("retrain", "pump", "--budget", "1")
    finally:
        path.write_text(text)
    newest = app.records.retrains.list("pump")[0]
    assert newest.state == "failed"
    assert "999999" in newest.detail["error"]
    assert app.records.models.list("pump") == models
    assert app.records.leases.holder("pump") == ""
    assert not list((app.home / "retrains").iterdir())


def test_a_line_file_that_says_something_impossible(before, refused, linewright):
    path = linewright.open().line_path("pump")
    text = path.read_text()
    try:
        for wrong in ("budget: [1\n", f"{text}colour: red\n", text.replace("pump", "pomp"), ""):
            path.write_text(wrong)
            refused("retrain", "pump")
        path.write_text(f"{text}gates: {{nonsense: 1}}\n")
        assert "nonsense" in refused("retrain", "pump")
        path.write_text(f"{text}false_alarms: 1 per cow\n")
        assert "false_alarms: a rate is written like" in refused("retrain", "pump")
    finally:
        path.write_text(text)


def test_no_workspace_and_workspaces_of_other_versions(refused, tmp_path):
    home = tmp_path / "home"
    for command in (["status"], ["ingest", "pump"], ["upgrade"], ["up"]):
        assert f"There is no workspace at {home}." in refused(*command, home=home)
    assert not home.exists()
    home.mkdir()
    for version, word in ((0, "linewright upgrade"), (99, "newer Linewright")):
        (home / "workspace.json").write_text(json.dumps({"format": version, "id": "x", "created": ""}))
        assert word in refused("status", home=home)
        assert word in refused("init", home=home)
    assert "newer Linewright" in refused("upgrade", home=home)
    (home / "workspace.json").write_text("{")
    assert "damaged" in refused("status", home=home)
    assert [path.name for path in home.iterdir()] == ["workspace.json"]


def test_init_takes_no_folder_of_others(refused, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    assert "thesis.tex" in refused("init", str(tmp_path))
    assert "is a file" in refused("init", str(tmp_path / "thesis.tex"))
    assert "thesis.tex/plant cannot be made: " in refused("init", str(tmp_path / "thesis.tex" / "plant"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
