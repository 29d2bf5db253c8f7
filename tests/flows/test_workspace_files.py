"""The files of a workspace that people write."""

import re

import pytest

from components.core.contracts import Modality
from components.core.errors import ConfigError, UnknownLineError
from components.core.lines import LineConfig
from flows.jobs.setup import make_workspace
from flows.wiring import Linewright


def test_a_file_that_is_not_in_utf_8_is_named(tmp_path):
    make_workspace(tmp_path)
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


def test_the_file_of_a_removed_line_is_kept_also_when_one_of_its_name_was_removed_before(tmp_path):
    make_workspace(tmp_path)
    app = Linewright.open(tmp_path)
    kept = {}
    for source in ("/first", "/second", "/third"):
        app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source=source), actor="operator")
        kept[source] = app.remove_line("pump", actor="operator")
    assert all(source in path.read_text() for source, path in kept.items())
    assert app.line_names() == []


def test_the_ledger_tells_who_added_and_who_removed_a_line(tmp_path):
    make_workspace(tmp_path)
    app = Linewright.open(tmp_path)
    app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source="/data"), actor="anna")
    app.remove_line("pump", actor="ben")
    added, removed = app.records.ledger.events("pump")
    assert (added.kind, added.actor, added.data) == ("line added", "anna", {"modality": "table", "source": "/data"})
    assert (removed.kind, removed.actor, removed.data) == ("line removed", "ben", {"kept": "pump.yaml.removed"})


def test_a_line_that_is_refused_leaves_no_event(tmp_path):
    make_workspace(tmp_path)
    app = Linewright.open(tmp_path)
    line = LineConfig(name="pump", modality=Modality.TABLE, source="/data")
    app.add_line(line, actor="anna")
    with pytest.raises(ConfigError, match="There is a line 'pump' already"):
        app.add_line(line, actor="ben")
    with pytest.raises(UnknownLineError):
        app.remove_line("press", actor="ben")
    assert [event.actor for event in app.records.ledger.events(kind="line added")] == ["anna"]
    assert app.records.ledger.events(kind="line removed") == ()
