"""Table sources become windows under one pinned schema; files that do not fit it are refused, naming the column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.adapters.objects import open_store
from components.core.contracts import Modality, TableSchema
from components.core.errors import ConfigError, SourceError
from components.core.lines import LineConfig, TableOptions
from components.ingest.collect import Collected, collect
from components.settings import ObjectSettings


def frame(seed: int = 0, rows: int = 100) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=rows, freq="s").astype(str), "a": draw.normal(size=rows),
        "b": draw.normal(size=rows), "kind": draw.choice(["L", "M"], rows),
        "anomaly": (np.arange(rows) >= 80).astype(int),
    })  # fmt: skip


def put(root: Path, **frames: pd.DataFrame) -> Path:
    root.mkdir(exist_ok=True)
    for name, table in frames.items():
        table.to_csv(root / f"{name}.csv", index=False)
    return root


def ingest(
    source: Path,
    tmp: Path,
    *,
    manifest: pd.DataFrame | None = None,
    schema: TableSchema | None = None,
    quarantined: set[str] = frozenset(),
    **options: object,
) -> Collected:
    line = LineConfig(name="pump", modality=Modality.TABLE, source=str(source), table=TableOptions(**options))
    return collect(
        line, store=open_store(line.source, ObjectSettings()), manifest=manifest, schema=schema,
        quarantined=quarantined, staging=tmp / "st", workers=4,
    )  # fmt: skip


def test_rows_of_one_file(tmp_path: Path) -> None:
    found = ingest(put(tmp_path / "s", one=frame()) / "one.csv", tmp_path)
    assert found.rows["label"].value_counts().to_dict() == {"normal": 80, "anomalous": 20}
    assert found.rows[["start", "end"]].sort_values("start").to_numpy().tolist() == [
        [row, row + 1] for row in range(100)
    ]
    assert found.schema is not None
    assert [column.name for column in found.schema.features] == ["a", "b", "kind"]
    assert list(found.files) == found.rows["file"].unique().tolist()
    assert (found.found, found.duplicates) == (100, 0)
    assert found.notices == ()


def test_windows_that_nothing_labels_are_counted(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame(), two=frame(1, rows=30).drop(columns="anomaly"))
    assert ingest(source, tmp_path).notices == (
        "No label column says what 30 of 130 new windows are: they count as normal.",
    )


def test_a_sensor_that_is_silent_in_a_whole_file_is_told(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame(), two=frame(1).assign(a=np.nan), three=frame(2).assign(a=np.nan))
    assert ingest(source, tmp_path).notices == (
        "a has no value in three.csv and 1 more: a retrain takes that for normal.",
    )


def test_rows_without_a_time_are_counted(tmp_path: Path) -> None:
    table = frame()
    table["time"] = table["time"].mask(table.index == 5)
    assert ingest(put(tmp_path / "s", one=table, two=frame(1)), tmp_path).notices == (
        "New rows without a time: 1; they count where they stand in their files.",
    )


def test_rows_that_are_alike_are_told_to_be_taken_as_ordered(tmp_path: Path) -> None:
    slow = frame(rows=400).assign(anomaly=0, a=np.sin(np.arange(400) / 40))
    timed = ingest(put(tmp_path / "timed", one=slow), tmp_path)
    assert timed.notices == ()
    found = ingest(put(tmp_path / "bare", one=slow.drop(columns="time")), tmp_path)
    assert found.notices == (
        "No column holds times, but neighbouring rows are alike, as of a process: splits are drawn over blocks of 10"
        " rows.",
    )


def test_windows_of_runs_that_are_too_short_are_counted(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame(), two=frame(1, rows=12))
    assert ingest(source, tmp_path, window=25, stride=25).notices == (
        "1 of 5 new windows repeat their last row: their runs are shorter than 25 rows.",
    )


def test_a_window_is_anomalous_if_one_of_its_rows_is(tmp_path: Path) -> None:
    found = ingest(put(tmp_path / "s", one=frame()), tmp_path, window=30, stride=30)
    rows = found.rows.set_index("start")["label"].to_dict()
    assert rows == {0: "normal", 30: "normal", 60: "anomalous", 70: "anomalous"}


def test_a_file_without_a_label_column_is_normal_and_others_are_passed_over(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame(), two=frame(1), normal=frame(2).drop(columns="anomaly"))
    (source / "README.md").write_text("a,b")
    found = ingest(source, tmp_path)
    assert found.skipped == 1
    assert found.rows.groupby("path")["label_source"].first().to_dict() == {
        "one.csv": "column", "two.csv": "column", "normal.csv": "assumed",
    }  # fmt: skip
    assert (found.rows[found.rows["path"] == "normal.csv"]["label"] == "normal").all()


CHANGED = {
    "missing": (lambda table: table.drop(columns="b"), "Column 'b' is missing."),
    "renamed": (lambda table: table.rename(columns={"b": "bb"}), "Column 'b' is missing; 'bb' is new: renamed?"),
    "words": (lambda table: table.assign(a="word"), "Column 'a' is no longer numeric."),
    "codes": (lambda table: table.assign(kind=3), "Column 'kind' is no longer categorical."),
    "no times": (lambda table: table.assign(time="never"), "Column 'time' holds no times."),
    "extra": (lambda table: table.assign(c=1.5), "Column 'c' is not in the line's schema"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_changed_columns_are_refused_by_name(tmp_path: Path, change: str) -> None:
    source = put(tmp_path / "s", one=frame())
    first = ingest(source, tmp_path)
    alter, message = CHANGED[change]
    put(source, two=alter(frame(1)), three=frame(2))
    second = ingest(source, tmp_path, manifest=first.rows, schema=first.schema)
    assert second.rows["path"].unique().tolist() == ["three.csv"]
    assert [(item.path, item.reason) for item in second.quarantined] == [("two.csv", "schema")]
    assert message in second.quarantined[0].detail
    assert second.schema == first.schema
    (source / "three.csv").unlink()
    with pytest.raises(SourceError, match=r"None of 1 new files .*two\.csv.*schema"):
        ingest(source, tmp_path, manifest=first.rows, schema=first.schema)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 5}, "table.window is 5, but the line's first version was read with 1"),
        ({"stride": 1, "window": 2}, "table.window is 2"),
        ({"label": "kind"}, "table.label is 'kind', but the line's first version was read with 'anomaly'"),
        ({"timestamp": "a"}, "table.timestamp is 'a', but the line's first version was read with 'time'"),
        ({"exclude": ("b", "c")}, "table.exclude names 'b', which is a feature since"),
        ({"group": "kind"}, "table.group names 'kind', which is a feature since"),
        ({"include": ("time",)}, "table.include names 'time', which is no feature since"),
    ],
)
def test_what_samples_are_stays_as_the_first_version_read_them(tmp_path: Path, options: dict, said: str) -> None:
    source = put(tmp_path / "s", one=frame())
    first = ingest(source, tmp_path)
    for same in ({}, {"window": 1, "label": "anomaly", "timestamp": "time", "include": ("a",), "exclude": ("c",)}):
        ingest(source, tmp_path, manifest=first.rows, schema=first.schema, **same)
    with pytest.raises(ConfigError, match=said):
        ingest(source, tmp_path, manifest=first.rows, schema=first.schema, **options)


def test_a_declared_label_may_come_later_whatever_its_name(tmp_path: Path) -> None:
    first = ingest(put(tmp_path / "s", one=frame().drop(columns="anomaly")), tmp_path)
    put(tmp_path / "s", two=frame(1).rename(columns={"anomaly": "scrapped"}))
    second = ingest(tmp_path / "s", tmp_path, manifest=first.rows, schema=first.schema, label="scrapped")
    assert second.schema is not None
    assert second.schema.label == "scrapped"
    assert second.rows["label"].value_counts().to_dict() == {"normal": 80, "anomalous": 20}


def test_excluded_and_annotation_columns_may_come(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame())
    first = ingest(source, tmp_path)
    put(source, two=frame(1).assign(c=1.5, comment="x"))
    assert len(ingest(source, tmp_path, manifest=first.rows, schema=first.schema, exclude=("c",)).rows) == 100


def test_labels_may_come_later(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame().drop(columns="anomaly"))
    first = ingest(source, tmp_path)
    assert first.schema is not None
    assert first.schema.label is None
    put(source, two=frame(1))
    second = ingest(source, tmp_path, manifest=first.rows, schema=first.schema)
    assert second.schema is not None
    assert second.schema.label == "anomaly"
    assert second.rows["label"].value_counts()["anomalous"] == 20


def test_windows_with_bad_cells_are_refused_and_the_rest_stays(tmp_path: Path) -> None:
    table = frame().astype({"a": object})
    table.loc[3, "a"] = "inf"
    table.loc[4, "a"] = "ERR"
    table.loc[[10, 11], ["a", "b"]] = None
    found = ingest(put(tmp_path / "s", one=table), tmp_path)
    assert len(found.rows) == 96
    assert [(item.reason, item.detail) for item in found.quarantined] == [
        ("missing-values", "Rows 10 to 10: 67% of its cells are missing, 50% may be. (2 windows in all)"),
        ("non-finite", "Rows 3 to 3: Column 'a', row 3: 'inf' is no finite number. (2 windows in all)"),
    ]


def test_the_same_rows_are_one_sample_and_two_labels_are_none(tmp_path: Path) -> None:
    one = frame().assign(anomaly=[0] * 90 + [1] * 10)
    two = one.copy()
    two.loc[[1, 2], "anomaly"] = 1
    two = two.iloc[:10]
    found = ingest(put(tmp_path / "s", one=one, two=two), tmp_path)
    assert len(found.rows) == 98
    assert found.duplicates == 8
    assert [(item.path, item.reason) for item in found.quarantined] == [
        ("one.csv", "contradicting-labels"), ("two.csv", "contradicting-labels"),
    ]  # fmt: skip


def test_a_file_that_grew_brings_only_its_new_rows(tmp_path: Path) -> None:
    source = put(tmp_path / "s", one=frame(rows=90))
    first = ingest(source, tmp_path)
    longer = pd.concat([frame(rows=90), frame(5).iloc[90:]], ignore_index=True)
    put(source, one=longer)
    second = ingest(source, tmp_path, manifest=first.rows, schema=first.schema)
    assert sorted(second.rows["start"]) == list(range(90, 100))
    again = ingest(source, tmp_path, manifest=pd.concat([first.rows, second.rows]), schema=first.schema)
    assert again.rows.empty


def test_groups(tmp_path: Path) -> None:
    table = frame().assign(batch=["x"] * 50 + ["y"] * 50)
    found = ingest(put(tmp_path / "s", one=table), tmp_path, group="batch", window=20, stride=20)
    assert sorted(zip(found.rows["start"], found.rows["group"], strict=True)) == [
        (0, "x"), (20, "x"), (30, "x"), (50, "y"), (70, "y"), (80, "y"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "options", "error", "message"),
    [
        ({}, {}, SourceError, "is empty"),
        ({"one": frame().assign(anomaly=1)}, {}, SourceError, "no normal samples"),
        ({"one": frame()}, {"label": "nope"}, ConfigError, "nope"),
        ({"one": pd.DataFrame({"x": []})}, {}, SourceError, "None of 1 new files"),
    ],
)
def test_sources_of_tables_that_cannot_be_used(
    tmp_path: Path, tables: dict[str, pd.DataFrame], options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ingest(put(tmp_path / "s", **tables), tmp_path, **options)
