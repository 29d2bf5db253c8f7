"""A workspace's life: made, made again, upgraded after a backup, copied elsewhere."""

import json
import shutil
from pathlib import Path

import pytest

from flows.workspace import FORMAT, MARKER, write_atomically

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def copied(story, linewright):
    """The workspace at another place, while what the old one's models and data lie in is not to be found."""
    home = linewright.folder / "elsewhere" / "a copy"
    shutil.copytree(linewright.home, home, symlinks=True)
    moved = [linewright.home / name for name in ("artifacts", "data", "data-remote", "linewright.db", "mlflow.db")]
    try:
        for path in moved:
            path.rename(path.with_name(f"{path.name}.away"))
        yield home
    finally:
        for path in moved:
            path.with_name(f"{path.name}.away").rename(path)


def test_init_leaves_a_whole_workspace_alone(linewright):
    files = {path: path.stat().st_mtime_ns for path in linewright.home.iterdir() if path.is_file()}
    assert "already there, untouched" in linewright.good("init").out
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_an_interrupted_init_is_completed(linewright, tmp_path):
    home = tmp_path / "home"
    linewright.good("init", home=home)
    (home / MARKER).unlink()
    keys = {path.name: path.read_bytes() for path in (home / "keys").iterdir()}
    assert "made" in linewright.good("init", home=home).out
    assert {path.name: path.read_bytes() for path in (home / "keys").iterdir()} == keys
    assert json.loads((home / MARKER).read_text())["format"] == FORMAT
    gates = (home / "gates.yaml").read_text()
    (home / "gates.yaml").unlink()
    assert "completed" in linewright.good("init", home=home).out
    assert (home / "gates.yaml").read_text() == gates


def test_upgrade_makes_a_backup_first(linewright, tmp_path):
    home = tmp_path / "home"
    linewright.good("init", home=home)
    assert "Up to date already." in linewright.good("upgrade", home=home).out
    marker = json.loads((home / MARKER).read_text())
    (home / MARKER).write_text(json.dumps({**marker, "format": 0}))
    (home / "gates.yaml").write_text("no_leak: true\n")
    out = linewright.good("upgrade", home=home).out
    kept = Path(out.removeprefix("Up to date. Backup: ").strip())
    assert {"linewright.db", "mlflow.db", "gates.yaml", "keys", "lines"} <= {path.name for path in kept.iterdir()}
    assert json.loads((home / MARKER).read_text())["id"] == marker["id"]
    assert (home / "gates.yaml").read_text() == "no_leak: true\n"
    linewright.good("status", home=home)


def test_files_are_written_whole_or_not_at_all(tmp_path):
    write_atomically(tmp_path / "a.txt", "one")
    write_atomically(tmp_path / "a.txt", "two")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "two")]


def test_a_copied_workspace_works_where_it_is_now(copied, story, linewright):
    source = linewright.folder / "sources" / "pump" / "pump-1.csv"
    assert (
        linewright.good("show", "pump", "1", "--json", home=copied).json[0]["threshold"]
        == (story["show"].json[0]["threshold"])
    )
    verdicts = linewright.good("score", "pump", str(source), "--json", home=copied).json
    assert [found["score"] for found in verdicts] == [found["score"] for found in story["score"].json]
    same = linewright.good("retrain", "pump", "--budget", "1", "--json", home=copied).json
    assert same == [{**story["retrain 2"].json[0], "changed": False}]
    (explained,) = linewright.good("explain", "pump", verdicts[0]["sample"], "--json", home=copied).json
    assert Path(explained["picture"]).is_relative_to(copied)
    lineage = linewright.good("lineage", "pump", verdicts[0]["verdict_id"], home=copied).out
    assert "pump-1.csv" in lineage
    assert "chain whole" in linewright.good("doctor", home=copied).out
    assert "pump v2 is the champion again." in linewright.good("rollback", "pump", "--reason", "back", home=copied).out


def test_a_copied_workspace_retrains(copied, linewright):
    linewright.good("ingest", "pump", home=copied)
    (found,) = linewright.good("retrain", "pump", "--budget", "1", "--seed", "7", "--json", home=copied).json
    assert found["version"] > 2
