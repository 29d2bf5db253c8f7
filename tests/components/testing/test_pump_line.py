"""The table line of the demo: rows, physics, faults and drift."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from components.core.errors import ConfigError
from components.testing.pump_line import COLUMNS, CURVE, HEAD, MODES, write_batch


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The demo's two batches."""
    folder = tmp_path_factory.mktemp("pump")
    write_batch(folder, batch=1, seed=0)
    write_batch(folder, batch=2, seed=0, rows=1500)
    assert sorted(path.name for path in folder.iterdir()) == ["pump-1.csv", "pump-2.csv"]
    return pd.read_csv(folder / "pump-1.csv", parse_dates=["time"]), pd.read_csv(
        folder / "pump-2.csv", parse_dates=["time"]
    )


def test_rows_columns_and_clock(batches: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    for table, rows in zip(batches, (3000, 1500), strict=True):
        assert tuple(table.columns) == COLUMNS
        assert len(table) == rows
        assert (table["time"].diff().dropna().dt.total_seconds() == 1).all()
        assert set(table["mode"]) <= set(MODES)
        assert table["mode"].nunique() > 1
    assert batches[1]["time"].min() > batches[0]["time"].max()


def test_same_arguments_write_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_batch(tmp_path / name, batch=1, seed=seed, rows=300)
    texts = [(tmp_path / name / "pump-1.csv").read_bytes() for name in "abc"]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_faults_are_marked_apart_from_each_other_and_begin_after_a_normal_start(
    batches: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    for table, count in zip(batches, (8, 4), strict=True):
        faults = table["anomaly"].to_numpy()
        assert set(faults) == {0, 1}
        starts = np.flatnonzero(np.diff(faults) == 1)
        assert len(starts) == count
        assert 0.08 < faults.mean() < 0.25
        assert not faults[: len(faults) // 20].any()


def test_few_vibration_readings_are_missing_and_nothing_else_is(
    batches: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    missing = batches[0].isna().sum()
    assert set(missing[missing > 0].index) == {"vibration_pump_mm_s", "vibration_motor_mm_s"}
    assert missing.sum() < 0.01 * len(batches[0])


def test_normal_readings_lie_on_the_pump_curve_and_leaks_do_not(
    batches: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    table = batches[0]
    speed = table["mode"].map(MODES)
    settled = (speed.rolling(60).std() == 0) & (speed.rolling(60).count() == 60)
    curve = HEAD * speed**2 - CURVE * table["flow_lpm"] ** 2
    miss = (table["pressure_bar"] - curve).abs()
    # The pressure sensor's deviation is 0.025 bar, the flow meter's 0.7 l/min is worth 0.014 bar.
    assert miss[settled & (table["anomaly"] == 0)].mean() < 0.04
    assert miss[settled & (table["anomaly"] == 1)].max() > 0.15


def test_more_speed_is_more_flow_pressure_and_current(batches: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    normal = batches[0][batches[0]["anomaly"] == 0].groupby("mode")[["flow_lpm", "pressure_bar", "motor_current_a"]]
    assert (normal.mean().loc[["eco", "normal", "boost"]].diff().dropna() > 0).all(axis=None)


def test_no_single_reading_gives_the_faults_away(batches: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table = batches[0]
    faulty = table["anomaly"] == 1
    for column in COLUMNS[2:-1]:
        normal = table.loc[~faulty, column]
        within = table.loc[faulty, column].between(normal.min(), normal.max())
        assert within.mean() > 0.5, column


def test_batch_2_starts_as_batch_1_and_ends_warmer_and_rougher(
    batches: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    first, second = (table[table["anomaly"] == 0] for table in batches)
    # Modes weigh differently in each stretch, so compare mode by mode.
    before = first.groupby("mode")[["temperature_c", "vibration_pump_mm_s"]].mean()
    early = second[second.index < 300].groupby("mode")[["temperature_c", "vibration_pump_mm_s"]].mean()
    late = second[second.index >= 1200].groupby("mode")[["temperature_c", "vibration_pump_mm_s"]].mean()
    assert (early["temperature_c"] - before["temperature_c"]).abs().dropna().max() < 3
    assert (late["temperature_c"] - before["temperature_c"]).dropna().min() > 4
    assert (late["vibration_pump_mm_s"] / before["vibration_pump_mm_s"]).dropna().min() > 1.15


@pytest.mark.parametrize("rows", [200, 300, 600, 937, 3000])
def test_any_allowed_length_has_a_fault(rows: int, tmp_path: Path) -> None:
    for seed in range(5):
        write_batch(tmp_path, batch=1, seed=seed, rows=rows)
        assert pd.read_csv(tmp_path / "pump-1.csv")["anomaly"].sum() >= 40


def test_too_few_rows_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="199"):
        write_batch(tmp_path / "line", batch=1, seed=0, rows=199)
    assert not (tmp_path / "line").exists()


def test_a_simple_detector_finds_most_faults_but_not_all(batches: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table = batches[0]
    readings = table[list(COLUMNS[2:-1])].ffill()
    windows = [readings.rolling(30).mean(), readings.rolling(30).std()]
    features = pd.concat([*windows, table["mode"].map(MODES)], axis=1).iloc[29::15]
    faulty = table["anomaly"].rolling(30).max().iloc[29::15].to_numpy()
    half = len(features) // 2
    train = features.to_numpy()[:half][faulty[:half] == 0]
    forest = IsolationForest(random_state=0).fit(train)
    auroc = roc_auc_score(faulty[half:], -forest.score_samples(features.to_numpy()[half:]))
    assert 0.8 < auroc < 0.99
