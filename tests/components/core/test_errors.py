import pytest

from components.core.errors import ConfigError, first_line, no_answer
from components.core.lines import parse_line
from components.settings import load_settings


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such key\nmore"), "no such key"),
        (ValueError("\n late"), "late"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_one_line_also_where_it_says_nothing(error, said):
    assert first_line(error) == said
    assert no_answer("sqlite:///a.db", error).message == f"The database sqlite:///a.db does not answer: {said}."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: pump\nmodality table\nsource: /data\n", r"could not find expected ':' in line 3"),
        ("name: [pump\nmodality: table\n", r"in line \d"),
        ("name: pump\n\tmodality: table\n", r"in line 2"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(tmp_path, text, said):
    with pytest.raises(ConfigError, match=f"pump.yaml is not YAML: .*{said}"):
        parse_line(text, origin="pump.yaml")
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"settings.yaml is not YAML: .*{said}"):
        load_settings(tmp_path)
