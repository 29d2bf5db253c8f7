"""The files of a workspace that people write."""

import errno
import os
import re
import resource
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.core.contracts import Modality
from components.core.errors import ConfigError, UnknownLineError, WorkspaceError, system_error
from components.core.hashing import folder_hashes
from components.core.lines import LineConfig
from components.settings import load_settings
from flows.cli import main
from flows.demo import run_demo
from flows.jobs.doctor import diagnose
from flows.jobs.promote import add_actor, office
from flows.wiring import Linewright
from flows.workspace import write_atomically


def test_a_file_that_is_not_in_utf_8_is_named(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source="/data"), actor="operator")
    reading = {
        "lines/pump.yaml": lambda: app.line("pump"),
        "agents.yaml": lambda: app.config_text("agents.yaml"),
        "settings.yaml": lambda: Linewright.open(tmp_path),
    }
    for name, read in reading.items():
        with (tmp_path / name).open("ab") as file:
            file.write("# München\n".encode("latin-1"))
        with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / name} is not YAML: ")):
            read()


def test_the_file_of_a_removed_line_is_kept_also_when_one_of_its_name_was_removed_before(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    kept = {}
    for source in ("/first", "/second", "/third"):
        app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source=source), actor="operator")
        kept[source] = app.remove_line("pump", actor="operator")
    assert all(source in path.read_text() for source, path in kept.items())
    assert app.line_names() == []


def test_the_ledger_tells_who_added_and_who_removed_a_line(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source="/data"), actor="anna")
    app.remove_line("pump", actor="ben")
    added, removed = app.records.ledger.events("pump")
    assert (added.kind, added.actor, added.data) == ("line added", "anna", {"modality": "table", "source": "/data"})
    assert (removed.kind, removed.actor, removed.data) == ("line removed", "ben", {"kept": "pump.yaml.removed"})


def test_a_line_that_is_refused_leaves_no_event(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    line = LineConfig(name="pump", modality=Modality.TABLE, source="/data")
    app.add_line(line, actor="anna")
    with pytest.raises(ConfigError, match="There is a line 'pump' already"):
        app.add_line(line, actor="ben")
    with pytest.raises(UnknownLineError):
        app.remove_line("press", actor="ben")
    assert [event.actor for event in app.records.ledger.events(kind="line added")] == ["anna"]
    assert app.records.ledger.events(kind="line removed") == ()


def test_what_the_system_refuses_is_one_line(tmp_path, monkeypatch, capsys, workspace):
    workspace(tmp_path)
    shutil.rmtree(tmp_path / "lines")
    (tmp_path / "lines").touch()
    monkeypatch.setenv("LINEWRIGHT_HOME", str(tmp_path))
    monkeypatch.setattr(
        sys, "argv", ["linewright", "line", "add", "pump", "--modality", "table", "--source", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"Error: '{tmp_path}/lines/\S+' cannot be used: Not a directory\.", line)


def test_doctor_tells_a_part_that_the_system_refuses_among_the_others(tmp_path, workspace):
    workspace(tmp_path)
    (tmp_path / ".tracking.lock").unlink()
    (tmp_path / ".tracking.lock").mkdir()
    found = {item.name: item for item in diagnose(tmp_path)}
    assert found["records"].ok
    assert (found["MLflow"].ok, found["MLflow"].detail) == (
        False,
        f"'{tmp_path}/.tracking.lock' cannot be used: Is a directory.",
    )


@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.ENOSPC, "Free some space"), (errno.EACCES, "Let this user"), (errno.EIO, "Mend that")],
)
def test_the_hint_follows_from_what_the_system_refused(number, mend):
    told = system_error(OSError(number, os.strerror(number), "/data/x"))
    assert told.message == f"'/data/x' cannot be used: {os.strerror(number)}."
    assert told.hint.startswith(mend)


def test_doctor_reads_the_files_that_a_retrain_and_a_decision_need(tmp_path, workspace):
    workspace(tmp_path)
    add_actor(Linewright.open(tmp_path), "anna", role="engineer", by="operator")
    (tmp_path / "keys" / "anna.pem").unlink()  # kept elsewhere, which is no fault

    def found():
        item = next(item for item in diagnose(tmp_path) if item.name == "configuration")
        return item.ok, item.detail

    assert found() == (True, "gates, agents, search spaces; 2 people, 1 of whose keys sign here")
    for name, text, detail in (
        ("actors.yaml", "roles:\n", "actors.yaml: roles: "),
        ("gates.yaml", "gate: 1\n", "gates.yaml: gate: "),
        ("agents.yaml", "model: [", "agents.yaml is not YAML"),
        ("search_spaces.yaml", "ecod: 1\n", "search_spaces.yaml"),
        ("keys/operator.pem", "", "operator.pem is not a key that can be read"),
    ):
        whole = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text)
        ok, told = found()
        assert not ok
        assert detail in told
        (tmp_path / name).write_text(whole)


@pytest.mark.parametrize("text", ["database: {uri: URL}", "database: URL", "tracking: {uri: 5, url: URL}"])
def test_a_misspelt_setting_is_told_without_its_password(tmp_path, monkeypatch, text):
    url = "postgresql+psycopg://lw:s3c@ret@db/x"
    (tmp_path / "settings.yaml").write_text(text.replace("URL", url))
    with pytest.raises(ConfigError) as refused:
        load_settings(tmp_path)
    assert "s3c" not in f"{refused.value} {refused.value.hint}"
    (tmp_path / "settings.yaml").unlink()
    monkeypatch.setenv("LINEWRIGHT_DATABASE__URI", url)
    with pytest.raises(ConfigError, match=r"database\.uri: Extra inputs are not permitted\.") as refused:
        load_settings(tmp_path)
    assert "s3c" not in str(refused.value)


def test_a_small_file_of_aliases_is_refused_at_once(tmp_path):
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    (tmp_path / "settings.yaml").write_text("\n".join(["a0: &a0 [x]", *levels, "database: {url: *a11}"]))
    with pytest.raises(ConfigError) as refused:
        load_settings(tmp_path)
    assert len(str(refused.value)) < 2_000


def test_a_demo_makes_no_workspace_anew_but_that_of_a_demo(tmp_path, workspace):
    workspace(tmp_path)
    before = folder_hashes(tmp_path)
    with pytest.raises(WorkspaceError, match="holds other things than the workspace of an earlier demo"):
        run_demo(tmp_path)
    assert folder_hashes(tmp_path) == before


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "postgresql\n", "5\n"])
def test_settings_without_names_are_refused(tmp_path, text):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'settings.yaml'} holds no settings by their names.")):
        load_settings(tmp_path)


def test_a_folder_of_lines_that_is_gone_is_not_an_empty_one(tmp_path):
    app = Linewright(load_settings(tmp_path))
    with pytest.raises(FileNotFoundError):
        app.line_names()
    app.settings.lines.mkdir()
    assert app.line_names() == []


def test_of_many_who_add_one_line_at_once_one_does_and_the_others_are_told(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)

    def add(number):
        line = LineConfig(name="pump", modality=Modality.TABLE, source=f"/data/{number}")
        try:
            app.add_line(line, actor="operator")
        except ConfigError:
            return None
        return line

    with ThreadPoolExecutor(8) as pool:
        (added,) = [line for line in pool.map(add, range(8)) if line]
    assert app.line("pump") == added
    (event,) = app.records.ledger.events(kind="line added")
    assert event.data["source"] == added.source


def test_people_who_are_added_at_once_are_all_there(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    people = {f"person-{number}" for number in range(8)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: add_actor(app, name, role="engineer", by="operator"), people))
    assert office(app).actors.roles.keys() == people | {"operator"}


def test_a_file_that_does_not_fit_leaves_the_old_one_and_nothing_else(tmp_path):
    write_atomically(tmp_path / "a.txt", "one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(tmp_path / "a.txt", "three")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "one")]
