"""The files of a workspace that people write."""

import re

import pytest

from components.core.contracts import Modality
from components.core.errors import ConfigError
from components.core.lines import LineConfig
from components.settings import Settings
from flows.jobs.setup import make_workspace
from flows.wiring import Linewright


def test_a_file_that_is_not_in_utf_8_is_named(tmp_path):
    make_workspace(tmp_path)
    app = Linewright.open(tmp_path)
    app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source="/data"))
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
    app = Linewright(Settings(home=tmp_path))
    app.settings.lines.mkdir()
    kept = {}
    for source in ("/first", "/second", "/third"):
        app.add_line(LineConfig(name="pump", modality=Modality.TABLE, source=source))
        kept[source] = app.remove_line("pump")
    assert all(source in path.read_text() for source, path in kept.items())
    assert app.line_names() == []
