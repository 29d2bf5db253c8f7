"""Tables: reading, schema, encoding, windows; answers that can be checked by hand."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from components.core.contracts import Column, TableSchema
from components.core.errors import ConfigError, SourceError
from components.core.lines import TableOptions
from components.samples.columns import as_seconds
from components.samples.schema import row_labels
from components.samples.tables import (
    cut,
    encode_cells,
    infer_schema,
    name_cell,
    read_table,
    readings,
    window_names,
    window_starts,
)
from components.samples.unusable import UnusableSample


def numbers(rows: int = 60) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame({"a": draw.normal(size=rows), "b": draw.normal(size=rows)})


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiters_are_found(mark: str) -> None:
    frame = read_table(numbers().to_csv(sep=mark, index=False).encode())
    assert frame.attrs["delimiter"] == mark
    assert list(frame) == ["a", "b"]


def test_decimal_commas_byte_order_marks_and_latin_1() -> None:
    frame = read_table("\ufeffa;b\n1,5;x\n2,25;y\n".encode())
    assert frame["a"].tolist() == [1.5, 2.25]
    old = read_table("Größe,b\n1,2\n".encode("latin-1"))
    assert list(old) == ["Größe", "b"]
    assert old.attrs["encoding"] == "latin-1"
    assert list(read_table("a,b\n1,2\n".encode("utf-16"))) == ["a", "b"]


def test_parquet() -> None:
    stream = io.BytesIO()
    numbers().to_parquet(stream)
    assert read_table(stream.getvalue()).equals(numbers())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"a,b\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not-a-table"),
        ("a,b\n1,2\n3,\0\n".encode("utf-16"), "not-a-table"),
        (b"a,b\n" + b"0.5,1\n" * 20_000 + b"0.8\0\x00703,1\n", "damaged"),
        (b"PAR1 and no more", "damaged"),
        (b"a,b\n1,2\n1,2,3,4\n", "damaged"),
        (b"1,2\n3,4\n", "schema"),
        (b"a,a\n3,4\n", "schema"),
        (b"\xff\xfea", "damaged"),
    ],
)
def test_unreadable_tables_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableSample) as refused:
        read_table(data)
    assert refused.value.reason == reason


def rich(rows: int = 200) -> pd.DataFrame:
    frame = numbers(rows)
    place = np.arange(rows)
    anomalous = (place % 10 == 0).astype(int)
    return frame.assign(
        number=place, serial=[f"S{row:05d}" for row in place], kind=np.where(place % 3 == 0, "L", "M"), same=7,
        nothing=np.nan, flag=anomalous * (place % 20 == 0), noise=(place % 7 == 0).astype(int), changepoint=0,
        note=[f"text {row % 120}" for row in place], anomaly=anomalous,
        when=pd.date_range("2024-01-01", periods=rows, freq="s").astype(str),
    )  # fmt: skip


@pytest.mark.parametrize("options", [TableOptions(window=5), TableOptions(timestamp="second")])
def test_what_only_ever_rises_is_a_counter(options: TableOptions) -> None:
    draw = np.random.default_rng(1)
    rising = np.cumsum(draw.exponential(size=300))
    frame = pd.DataFrame({
        "second": np.arange(300) // 2 * 10, "energy": rising, "starts": np.arange(300) // 10,
        "set_point": np.arange(300) // 100,
        "wear": np.concatenate([rising[:150], rising[:150]]), "gaps": np.where(draw.random(300) < 0.1, np.nan, rising),
        "flow": rising + draw.normal(scale=3, size=300),
    })  # fmt: skip
    schema = infer_schema(frame, options)
    counters = {name for name, why in schema.ignored.items() if why.startswith("counter: it rises all the time")}
    assert counters - {"second"} == {"energy", "starts", "gaps"}
    assert {"set_point", "wear", "flow"} <= {column.name for column in schema.features}


@pytest.mark.parametrize("written", ["{:,.1f}", "{:,.0f}"])
def test_numbers_with_marks_between_thousands_are_called_so(written: str) -> None:
    frame = numbers(200).assign(power=[written.format(900 + 37 * row) for row in range(200)])
    assert infer_schema(frame, TableOptions()).ignored == {
        "power": f"numbers with marks between thousands, such as {written.format(1011)!r}: write them without"
    }


def test_a_reading_that_failed_or_a_new_meter_leaves_a_counter_one() -> None:
    draw = np.random.default_rng(1)
    rising = np.cumsum(draw.exponential(size=5000))
    failed, replaced = rising.copy(), rising.copy()
    failed[2000] = 0
    replaced[1000:] -= rising[1000]
    level = np.arange(5000) % 2000 + 0.5  # filled and emptied: as rare a fall, but it comes back to where it was
    moved = np.repeat(np.concatenate([np.arange(12), np.arange(9, 22)]), 200)  # a set point
    frame = pd.DataFrame({"failed": failed, "replaced": replaced, "level": level, "moved": moved})
    schema = infer_schema(frame, TableOptions(window=5))
    assert set(schema.ignored) == {"failed", "replaced"}
    assert [column.name for column in schema.features] == ["level", "moved"]


def test_what_begins_anew_with_files_is_no_counter() -> None:
    heating = np.concatenate([np.geomspace(1, 80, 600), np.geomspace(2, 90, 600)])
    frame = pd.DataFrame({"heating": heating, "energy": np.geomspace(1, 9, 1200)})
    assert set(infer_schema(frame, TableOptions(window=5), files=[600, 600]).ignored) == {"energy"}


def test_what_the_line_includes_is_a_feature_whatever_it_looks_like() -> None:
    place = np.arange(200)
    frame = numbers(200).assign(
        uptime=place * 1.5, remarks=np.where(place % 3 == 0, "x", "y"), number=place, anomaly=place % 2,
        note=[f"text {row}" for row in place],
    )  # fmt: skip
    names = ("uptime", "remarks", "number", "anomaly")
    schema = infer_schema(frame, TableOptions(window=5, include=names))
    kinds = {column.name: column.kind for column in schema.features}
    assert kinds == {**dict.fromkeys(["a", "b", "uptime", "number", "anomaly"], "numeric"), "remarks": "categorical"}
    assert set(schema.ignored) == {"note"}
    assert schema.label is None
    with pytest.raises(ConfigError, match=r"table\.include: column 'note' has 200 different words"):
        infer_schema(frame, TableOptions(include=("note",)))
    with pytest.raises(ConfigError, match=r"table\.include: there is no column 'c'"):
        infer_schema(frame, TableOptions(include=("c",)))
    with pytest.raises(ValueError, match="column 'a' is to be a feature and something else"):
        TableOptions(include=("a",), exclude=("a",))


def test_what_names_batches_or_months_is_neither_feature_nor_constant() -> None:
    place = np.arange(240)
    frame = numbers(240).assign(
        Batch=place // 80 + 1, lot_id=[f"L{row // 60}" for row in place], simulationRun=7, month=place // 20 + 11,
        week=place // 120, run=place // 20 % 2, batch_size=place % 7, day=place % 7, quarter=place % 4 + 1,
        batch_time=place % 11 / 2,
    )  # fmt: skip
    schema = infer_schema(frame, TableOptions())
    assert set(schema.ignored) == {"Batch", "lot_id", "simulationRun", "month", "week"}
    assert all(why.startswith("names a batch or a time: ") for why in schema.ignored.values())
    assert schema.constants == {}
    schema = infer_schema(frame, TableOptions(group="Batch", include=("month",)))
    assert schema.ignored["Batch"] == "group"
    assert "month" in {column.name for column in schema.features}


def test_the_number_of_a_batch_is_measured_where_it_is_none() -> None:
    frame = numbers(60).assign(lot=np.linspace(0, 1, 60))
    assert "lot" in {column.name for column in infer_schema(frame, TableOptions()).features}


def test_a_table_without_an_order_may_be_sorted_by_a_feature() -> None:
    frame = numbers(300).sort_values("a")
    assert [column.name for column in infer_schema(frame, TableOptions()).features] == ["a", "b"]


def test_each_column_gets_a_role_and_a_reason() -> None:
    schema = infer_schema(rich(), TableOptions())
    assert [(column.name, column.kind) for column in schema.features] == [
        ("a", "numeric"), ("b", "numeric"), ("kind", "categorical"), ("noise", "numeric"),
    ]  # fmt: skip
    assert schema.features[2].categories == ("L", "M")
    assert (schema.label, schema.timestamp, schema.constants) == ("anomaly", "when", {"same": "7"})
    reasons = {name: reason.split(":")[0].split(" ")[0] for name, reason in schema.ignored.items()}
    assert reasons == {
        "anomaly": "label", "when": "time", "number": "identifier", "serial": "identifier", "same": "constant",
        "nothing": "no", "flag": "leaks", "changepoint": "annotation", "note": "free",
    }  # fmt: skip


def test_nothing_is_dropped_in_silence() -> None:
    schema = infer_schema(rich(), TableOptions())
    assert {column.name for column in schema.features} | set(schema.ignored) == set(rich())


def test_declared_columns_go_first() -> None:
    options = TableOptions(label="noise", timestamp="number", exclude=("b", "bb"), group="kind")
    schema = infer_schema(rich(), options)
    assert (schema.label, schema.timestamp) == ("noise", "number")
    assert schema.ignored["b"] == "excluded by the line's file"
    assert schema.ignored["bb"] == "excluded by the line's file, and in no file yet"
    assert schema.ignored["kind"] == "group"


def test_a_real_valued_target_is_no_label() -> None:
    assert infer_schema(numbers().assign(target=np.linspace(0, 9, 60)), TableOptions()).label is None


def test_row_numbers_that_begin_again_in_each_file_are_identifiers() -> None:
    frame = pd.concat([numbers(30), numbers(30)], ignore_index=True).assign(row=[*range(30), *range(30)])
    assert "identifier" in infer_schema(frame, TableOptions(), files=[30, 30]).ignored["row"]


@pytest.mark.parametrize("options", [{"label": "x"}, {"timestamp": "x"}, {"label": "a"}])
def test_impossible_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        infer_schema(numbers(), TableOptions(**options))


def test_a_column_that_is_not_there_is_told_with_how_many_are() -> None:
    wide = pd.DataFrame({f"s{number}": range(3) for number in range(40)})
    with pytest.raises(ConfigError, match="'s10', 's11' and 28 more"):
        infer_schema(wide, TableOptions(label="fault"))


def test_a_table_without_a_feature_is_refused() -> None:
    with pytest.raises(SourceError, match="No column can be a feature"):
        infer_schema(pd.DataFrame({"id": range(40), "same": [1] * 40}), TableOptions())


def test_blocks_are_for_ordered_rows_only() -> None:
    assert infer_schema(numbers(), TableOptions()).block_rows == 1
    assert infer_schema(numbers(), TableOptions(window=4)).block_rows == 40
    assert infer_schema(rich(4000), TableOptions()).block_rows == 20


def test_rows_that_are_like_their_neighbours_are_ordered_without_a_column_of_times() -> None:
    draw = np.random.default_rng(1)
    walk = np.cumsum(draw.normal(size=4000)) * 0.1 + draw.normal(size=4000)
    table = pd.DataFrame({"noise": draw.normal(size=4000), "load": walk, "fault": draw.random(4000) < 0.02})
    assert infer_schema(table, TableOptions()).block_rows == 20
    shuffled = table.sample(frac=1, random_state=0, ignore_index=True)
    assert infer_schema(shuffled, TableOptions()).block_rows == 1
    # The last row of each file is that which the next one begins with: what lies between files is no neighbour.
    drawn = draw.normal(size=2001)
    pairs = pd.DataFrame({"load": np.stack([drawn[:-1], drawn[1:]], axis=1).ravel()})
    assert infer_schema(pairs, TableOptions(), files=[2] * 2000).block_rows == 1
    assert infer_schema(pairs, TableOptions()).block_rows == 20
    # Sorted by the label alone.
    labelled = pd.DataFrame({"load": draw.normal(size=4000), "fault": np.arange(4000) >= 3000})
    labelled.loc[3000:, "load"] += 50
    assert infer_schema(labelled, TableOptions()).block_rows == 1


def slow(rows: int, *, alike_for: float) -> np.ndarray:
    """``(rows, 4)`` of a process whose correlation falls to 1/e in so many rows."""
    keep = math.exp(-1 / alike_for)
    noise = np.random.default_rng(0).normal(size=(rows, 4)) * math.sqrt(1 - keep * keep)
    return np.asarray(lfilter([1], [1, -keep], noise, axis=0))


@pytest.mark.parametrize(("alike_for", "block"), [(5, 100), (30, 100), (100, 256), (1000, 400)])
def test_blocks_are_as_long_as_rows_stay_alike_while_fifty_are_left(alike_for: float, block: int) -> None:
    table = pd.DataFrame(slow(20_000, alike_for=alike_for), columns=list("abcd"))
    assert infer_schema(table, TableOptions()).block_rows == block
    # Half of what is looked at may stay alike for ever.
    table = table.assign(set_point=np.arange(20_000) // 7_000, level=np.linspace(0, 1, 20_000) ** 2)
    assert infer_schema(table.iloc[::-1], TableOptions()).block_rows == block


def test_blocks_stay_short_where_anomalies_are_everywhere() -> None:
    table = pd.DataFrame(slow(20_000, alike_for=300), columns=list("abcd"))
    assert infer_schema(table.assign(fault=np.arange(20_000) < 2_000), TableOptions()).block_rows == 400
    assert infer_schema(table.assign(fault=np.arange(20_000) % 500 == 0), TableOptions()).block_rows == 100


def test_an_output_that_is_numbered_is_no_label() -> None:
    frame = numbers().assign(Y0=[0, 1] * 30, class_3=[0, 0, 1] * 20)
    schema = infer_schema(frame, TableOptions())
    assert schema.label is None
    assert {"Y0", "class_3"} <= {column.name for column in schema.features}


def test_label_words_and_missing_labels() -> None:
    assert row_labels(pd.DataFrame({"y": ["OK", "NG", None]}), "y").tolist() == [0, 1, 0]
    assert row_labels(pd.DataFrame({"y": [True, False]}), "y").tolist() == [1, 0]
    with pytest.raises(ConfigError, match="maybe"):
        row_labels(pd.DataFrame({"y": ["OK", "maybe"]}), "y")


SCHEMA = TableSchema(
    features=(Column(name="a", kind="numeric"), Column(name="k", kind="categorical", categories=("L", "M")))
)


def test_encoding() -> None:
    frame = pd.DataFrame({"a": [1.0, None, 3.0, 4.0], "k": ["M", "L", "new", None]})
    found = encode_cells(frame, SCHEMA)
    assert np.array_equal(found, [[1, 1], [math.nan, 0], [3, -1], [4, math.nan]], equal_nan=True)


def test_what_is_no_finite_number_is_named() -> None:
    for cell in (math.inf, "ERR"):
        frame = pd.DataFrame({"a": pd.Series([1.0, cell], dtype=object), "k": ["L", "L"]})
        assert np.isinf(encode_cells(frame, SCHEMA)[1, 0])
        assert name_cell(frame, SCHEMA, row=1, place=0) == f"Column 'a', row 1: '{cell}' is no finite number."
    with pytest.raises(UnusableSample, match="'k' is missing"):
        encode_cells(pd.DataFrame({"a": [1.0]}), SCHEMA)


@pytest.mark.parametrize(
    "written",
    ["%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%d-%m-%y %H:%M", "%d.%m.%y, %H:%M", "%m/%d/%Y %H:%M", "%y-%m-%d %H:%M"],
)
@pytest.mark.parametrize("start", ["2026-01-28", "2026-02-01"])
@pytest.mark.parametrize("rows", [100, 600])
def test_the_order_of_day_and_month_is_the_one_in_which_time_runs_on(written: str, start: str, rows: int) -> None:
    times = pd.date_range(start, periods=rows, freq="1h").strftime(written)
    seconds = as_seconds(pd.Series(times))
    assert seconds is not None
    assert set(np.diff(seconds)) == {3600.0}


def test_a_zone_that_has_only_a_name_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    seconds = as_seconds(pd.Series(["2026-02-01 00:00:00 CET", "2026-02-01 01:00:00 CET"]))
    assert seconds is not None
    assert np.diff(seconds).tolist() == [3600.0]
    assert not recwarn.list


def test_a_cell_that_is_no_number_leaves_the_decimal_commas_beside_it() -> None:
    data = b"a;b\n3,5;2,5\nERR;4,5\n-1,25E-2;7,5\n"
    columns = tuple(Column(name=name, kind="numeric") for name in ("a", "b"))
    values = encode_cells(read_table(data), TableSchema(features=columns, timestamp=None, window=1, stride=1))
    assert values.tolist() == [[3.5, 2.5], [math.inf, 4.5], [-0.0125, 7.5]]
    scored = readings(read_table(data), TableSchema(features=columns, timestamp=None, window=1, stride=1))
    assert np.array_equal(scored, [[3.5, 2.5], [math.nan, 4.5], [-0.0125, 7.5]], equal_nan=True)


@pytest.mark.parametrize("beside", ["", "auto", "none"])
def test_a_category_is_the_same_whatever_else_its_column_holds(beside: str) -> None:
    """Alone, pandas reads 01, 1.50 and true as numbers or truth; beside a word or a missing cell as something else."""
    known = ("01", "1.50", "2E3", "auto", "true")
    schema = TableSchema(
        features=(Column(name="mode", kind="categorical", categories=known),), timestamp=None, window=1, stride=1
    )
    for place, word in enumerate(known):
        values = encode_cells(read_table(f"mode,n\n{word},1\n{beside},2\n".encode()), schema)
        assert values[0, 0] == place


def test_two_spellings_of_a_number_are_one_category() -> None:
    frame = pd.DataFrame({"mode": ["A1", "01", "1", "1.0", "x"] * 20, "n": np.arange(100) % 7})
    schema = infer_schema(frame, TableOptions())
    assert schema.features[0].categories == ("01", "A1", "x")
    assert encode_cells(frame, schema)[:5, 0].tolist() == [1, 0, 0, 0, 2]


@pytest.mark.parametrize("data", [b"a,b\n1,5,2,5\n3,5,4,5\n", b"a\n1,5\n2,5\n"])
def test_more_cells_than_columns_are_refused(data: bytes) -> None:
    with pytest.raises(UnusableSample, match="more cells than its header; are there commas for decimals") as refused:
        read_table(data)
    assert refused.value.reason == "damaged"


def test_a_delimiter_at_the_end_of_every_row_is_no_cell() -> None:
    assert read_table(b"a,b\n1,2,\n3,4,\n").to_numpy().tolist() == [[1, 2], [3, 4]]


def schema_of(window: int, stride: int, timestamp: str | None = None) -> TableSchema:
    return TableSchema(features=(), window=window, stride=stride, timestamp=timestamp)


def test_points_part_thousands_where_commas_are_decimal_and_no_number_has_a_point_elsewhere() -> None:
    columns = tuple(Column(name=name, kind="numeric") for name in ("a", "b"))
    schema = TableSchema(features=columns, timestamp=None, window=1, stride=1)
    german = b"a;b;day\n953;2,5;01.02.2026\n1.070;1.234,5;02.02.2026\n-1.000.000;7,25;03.02.2026\n"
    mixed = b"a;b\n953;2,5\n1.070;0.5\n"
    points = b"a;b\n953;2.5\n1.070;0.5\n"
    assert encode_cells(read_table(german), schema).tolist() == [[953, 2.5], [1070, 1234.5], [-1_000_000, 7.25]]
    assert encode_cells(read_table(mixed), schema).tolist() == [[953, 2.5], [1.07, 0.5]]
    assert encode_cells(read_table(points), schema).tolist() == [[953, 2.5], [1.07, 0.5]]


def test_a_row_without_a_time_hides_no_gap_beside_it() -> None:
    times = [0, 1, math.nan, 1000, 1001, math.nan, math.nan, 1004, 1003, 1004]
    frame = pd.DataFrame({"t": times})
    assert window_starts(frame, schema_of(2, 2, "t")).tolist() == [[0, 2], [1, 3], [3, 5], [5, 7], [6, 8], [8, 10]]


def test_windows_end_at_gaps_and_groups() -> None:
    frame = pd.DataFrame({"t": [0, 1, 2, 3, 100, 101, 50, 51], "g": list("xxxxyyyz")})
    assert window_starts(frame, schema_of(2, 1, "t")).tolist() == [[0, 2], [1, 3], [2, 4], [4, 6], [6, 8]]
    assert window_starts(frame, schema_of(3, 3, "t"), group="g").tolist() == [[0, 3], [1, 4], [4, 6], [6, 7], [7, 8]]


def test_short_windows_repeat_their_last_row() -> None:
    values = np.array([[1.0], [2.0]])
    assert cut(values, np.array([[0, 2]]), window=4)[0, :, 0].tolist() == [1, 2, 2, 2]


@given(rows=st.integers(1, 80), window=st.integers(1, 20), data=st.data())
def test_every_row_is_covered(rows: int, window: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, window))
    gaps = data.draw(st.lists(st.integers(1, 50), min_size=rows, max_size=rows))
    frame = pd.DataFrame({"t": np.cumsum(gaps)})
    bounds = window_starts(frame, schema_of(window, stride, "t"))
    covered = np.zeros(rows, dtype=int)
    for start, end in bounds:
        assert 0 <= start < end <= rows
        assert end - start <= window
        covered[start:end] += 1
    assert covered.all()


def test_names_depend_on_values_alone() -> None:
    windows = np.array([[[0.0]], [[-0.0]], [[math.nan]], [[1.0]]])
    first, second, third, fourth = window_names(windows)
    assert first == second
    assert len({first, third, fourth}) == 3
