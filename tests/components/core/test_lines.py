from pathlib import Path

import yaml

from components.core.lines import LineConfig, declare_line, read_line

EXAMPLES = Path(__file__).parents[3] / "configs" / "lines"


def test_the_image_example_shows_the_default_of_every_key():
    shown = yaml.safe_load((EXAMPLES / "image.example.yaml").read_text(encoding="utf-8"))
    line = declare_line({name: shown[name] for name in ("name", "modality", "source")}, origin="a test")
    default = line.model_dump(mode="json", include=set(shown))
    assert shown == default
    assert set(LineConfig.model_fields) - set(shown) == {"table", "explain", "false_alarms"}


def test_the_table_example_can_be_read(tmp_path):
    path = tmp_path / "pump-loop.yaml"
    path.write_bytes((EXAMPLES / "table.example.yaml").read_bytes())
    line = read_line(path)
    shown = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(type(line.table).model_fields) == set(shown["table"])
    assert line.explain == LineConfig.model_fields["explain"].default
