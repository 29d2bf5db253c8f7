"""Budgets as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.budgets import parse_rate, shown_rate
from components.core.errors import ConfigError
from components.core.lines import dump_line, parse_line

LINE = "name: press\nmodality: image\nsource: x\n"


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1 per 1000", 0.001), ("1 in 10,000", 1e-4), ("3/600", 0.005), ("0.1 %", 0.001), ("5%", 0.05), ("0.01", 0.01),
     ("1e-3", 0.001), (0.02, 0.02)],
)  # fmt: skip
def test_every_way_of_writing(text, rate):
    assert parse_line(LINE + f"false_alarms: {text}", origin="f").false_alarms == rate


@pytest.mark.parametrize(
    "text", ["often", "1 per 0", "2 per 1", "0", "-1 %", "100 %", "1 per 10,00", "[1]", "nan", ".inf"]
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ConfigError, match="false_alarms"):
        parse_line(LINE + f"false_alarms: {text}", origin="f")


@given(st.integers(1, 10_000_000))
def test_what_is_shown_is_read_back(every):
    shown = shown_rate(1 / every)
    assert parse_rate(shown) == pytest.approx(1 / every)


def test_the_key_of_earlier_releases_is_read_and_written_as_the_new_one():
    line = parse_line(LINE + "false_alarm_rate: 0.01", origin="f")
    assert line.false_alarms == 0.01
    assert "false_alarms: 0.01" in dump_line(line)
    with pytest.raises(ConfigError, match="false_alarm_rate"):
        parse_line(LINE + "false_alarm_rate: 0.01\nfalse_alarms: 0.02", origin="f")
