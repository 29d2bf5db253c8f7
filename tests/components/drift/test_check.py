from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from components.core.drift_report import DriftReport
from components.core.errors import NotEnoughDataError
from components.core.lines import DriftOptions
from components.drift.check import check
from components.drift.evidently_report import distances, write_html
from components.drift.features import OPTICS, embedding_features, optics
from components.drift.window import DriftWindow

FAST = DriftOptions(horizon=2)


def _table(values: np.ndarray, *, seed: int = 0, **more: object) -> DriftWindow:
    frame = pd.DataFrame(values, columns=[f"c{index}" for index in range(values.shape[1])])
    return _window(frame, dict.fromkeys(frame, "feature"), seed=seed, **more)


def _window(frame: pd.DataFrame, families: dict, *, seed: int = 0, **more: object) -> DriftWindow:
    fields = {
        "name": "press/v1",
        "groups": np.arange(len(frame)),
        "scores": np.random.default_rng([seed, 99]).normal(size=len(frame)),
        "threshold": 1.6,
    }
    return DriftWindow(features=frame, families=families, **{**fields, **more})


def _normal(rows: int, columns: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def _check(old: DriftWindow, new: DriftWindow, *, options: DriftOptions = FAST, decided: int = 0) -> DriftReport:
    return check(old, new, line="press", options=options, number=decided + 5, decided=decided, seed=7)


def _drifted(report: DriftReport) -> list[str]:
    return [feature.name for feature in report.features if feature.drifted]


def test_shift_of_one_of_twenty_is_named() -> None:
    values = _normal(60, 20, seed=2)
    values[:, 13] += 1.5
    report = _check(_table(_normal(150, 20, seed=1)), _table(values, seed=1))
    assert report.verdict == "drift"
    assert report.kind == "sensor or process"
    assert _drifted(report) == ["c13"]
    assert report.features[0].effect == pytest.approx(1.5, abs=0.4)
    assert "c13 by +1" in report.detail
    assert {"anomaly score", "alarm rate"} <= {feature.name for feature in report.features}


def test_what_is_far_off_in_one_group_is_told_though_it_is_no_drift() -> None:
    values = _normal(60, 3, seed=2)
    values[:5, 1] *= 1000
    new = _table(values, seed=1, groups=np.arange(60) // 5)
    report = _check(_table(_normal(60, 3, seed=1), groups=np.arange(60) // 5), new)
    assert report.verdict == "no drift"
    assert (
        "none of 5 quantities drifted; not called drift, since few groups hold it, but far off: c1 by" in report.detail
    )


def test_same_seed_same_report() -> None:
    old, new = _table(_normal(60, 3, seed=1)), _table(_normal(30, 3, seed=2), seed=1)
    assert _check(old, new) == _check(old, new)


def test_change_of_spread_alone_is_found() -> None:
    report = _check(_table(_normal(150, 4, seed=1)), _table(_normal(80, 4, seed=2) * [1, 3, 1, 1], seed=1))
    assert _drifted(report) == ["c1"]


def test_false_verdicts_stay_within_the_declared_rate() -> None:
    options = DriftOptions(false_alarm_rate=0.3, horizon=1, min_effect=0, min_samples=8)
    repeats = 30
    alarms = sum(
        _check(
            _table(_normal(25, 4, seed=2 * run), seed=run),
            _table(_normal(12, 4, seed=2 * run + 1), seed=-run % 1000),
            options=options,
        ).verdict
        == "drift"
        for run in range(1, repeats + 1)
    )
    assert alarms <= binom.ppf(0.999, repeats, 0.3)


def test_small_effects_are_no_drift() -> None:
    old, new = _normal(1_000, 1, seed=1), _normal(1_000, 1, seed=2) + 0.4
    assert _drifted(_check(_table(old), _table(new, seed=1))) == ["c0"]
    strict = DriftOptions(horizon=2, min_effect=0.8)
    assert _check(_table(old), _table(new, seed=1), options=strict).verdict == "no drift"


@pytest.mark.parametrize("broken", [99.0, 65535.0, 1.7976931348623157e308])
@pytest.mark.parametrize("count", [100, 3000])
def test_a_broken_reading_does_not_hide_the_drift_of_the_others(broken: float, count: int) -> None:
    rng = np.random.default_rng(4)
    old, new = rng.normal(size=(count, 3)), rng.normal(size=(count, 3))
    new[:, 1] += 2
    old[3, 1] = broken
    assert _drifted(_check(_table(old), _table(new, seed=1))) == ["c1"]
    old[:, 1], old[3, 1] = new[:, 1], broken
    assert _drifted(_check(_table(old), _table(new, seed=1))) == []


def test_a_rare_mode_is_told_from_broken_readings() -> None:
    rng = np.random.default_rng(5)
    old, new = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    old[:30, 0], new[:30, 0] = 500 + old[:30, 0], 520 + new[:30, 0]  # a tenth of the time it runs fast
    report = _check(_table(old), _table(new, seed=1))
    distance = {feature.name: feature.distance for feature in report.features}["c0"]
    assert distance == pytest.approx(20 * 0.1 / old[:, 0].std(), rel=0.3)


def test_large_windows_are_measured_whole() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(9_000, 3)), rng.normal(size=(5_000, 3))
    old[17, 2], new[:, 1] = 1e6, new[:, 1] + 0.5
    reference, current = _table(old), _table(new, seed=1)
    report = _check(reference, current)
    assert _drifted(report) == ["c1"]
    kinds = dict.fromkeys(["c0", "c1", "c2"], "numeric")
    theirs = distances(reference.features, current.features, columns=list(kinds), kinds=kinds)
    ours = {feature.name: feature.distance for feature in report.features if feature.name in theirs}
    # The broken reading in c2 is cut: it would be the deviation of all others.
    assert {name: ours[name] for name in ("c0", "c1")} == pytest.approx({n: theirs[n] for n in ("c0", "c1")}, rel=1e-9)
    assert ours["c2"] == pytest.approx(ours["c0"], abs=0.05)


def test_false_verdicts_on_large_windows_stay_within_the_declared_rate() -> None:
    options = DriftOptions(false_alarm_rate=0.3, horizon=1, min_effect=0, min_samples=8)
    repeats, alarms = 20, 0
    for run in range(repeats):
        rng = np.random.default_rng(run)
        # Discrete, heavy-tailed and plain columns; windows of unlike size.
        old, new = (
            np.stack([rng.poisson(3, rows), rng.standard_t(2, rows), rng.normal(size=rows)], axis=1).astype(float)
            for rows in (1_400, 1_050)
        )
        alarms += _check(_table(old, seed=run), _table(new, seed=1_000 + run), options=options).verdict == "drift"
    assert alarms <= binom.ppf(0.999, repeats, 0.3)


def test_too_few_samples_and_too_few_groups() -> None:
    old = _table(_normal(100, 2, seed=1))
    few = _check(old, _table(_normal(19, 2, seed=2)))
    assert (few.verdict, few.features) == ("not enough data", ())
    assert few.detail == "19 new samples, 20 needed."
    none = _check(old, _table(np.zeros((0, 2))))
    assert (none.verdict, none.detail) == ("not enough data", "0 new samples, 20 needed.")
    one_batch = _check(old, _table(_normal(60, 2, seed=2) + 9, groups=np.zeros(60)), options=DriftOptions())
    assert one_batch.verdict == "not enough data"
    assert "100 old and 1 new" in one_batch.detail


def test_groups_too_few_for_a_test_are_compared_with_each_other() -> None:
    rng = np.random.default_rng(5)
    groups, away = np.repeat(np.arange(6), 50), rng.normal(size=(6, 3)) / 5
    old_scores = np.where(np.arange(300) % 50 < 1, 2.0, 0.0)  # 2 % of each group
    old = _table(_normal(300, 3, seed=1) + away[groups], groups=groups, scores=old_scores)
    values = _normal(60, 3, seed=2) + np.array([0, 3, 0])
    new = _table(values, groups=np.zeros(60), scores=np.where(np.arange(60) < 45, 2.0, 0.0))
    report = _check(old, new, options=DriftOptions())
    assert (report.verdict, report.kind) == ("not enough data", "")
    assert "6 old and 1 new independent groups" in report.detail
    assert "; 5 new groups or a larger rate would do; " in report.detail  # 11 over 5 is 462, 10 over 4 only 210
    shares = "75.0% of the new samples score above the threshold, 2.0% of the reference, and at most 2.0% of one of its"
    assert shares in report.detail
    assert "with a chance of 0.14" in report.detail
    found = {feature.name: feature for feature in report.features}
    assert not any(feature.drifted for feature in report.features)
    assert found["c1"].distance > 4 * found["c1"].threshold
    assert found["c1"].effect == pytest.approx(3, abs=0.4)
    assert "c1 by +" in report.detail
    enough = [abs(feature.effect) >= 0.25 for feature in report.features]
    assert enough == sorted(enough, reverse=True)  # what is named stands first, however close old groups lie
    calm = _table(_normal(60, 3, seed=2), groups=np.zeros(60), scores=np.where(np.arange(60) < 1, 2.0, 0.0))
    spread = _table(_normal(300, 3, seed=1) + 9 * away[groups], groups=groups, scores=old_scores)
    assert "no quantity differs from the reference by more than" in _check(spread, calm, options=DriftOptions()).detail
    alone = _check(_table(_normal(60, 3, seed=1), groups=np.zeros(60)), new, options=DriftOptions())
    assert (alone.features, alone.verdict) == ((), "not enough data")
    assert "399 new groups" in alone.detail


def test_declared_constant_that_changed() -> None:
    old = _table(_normal(60, 2, seed=1), constants={"recipe": "7", "plant": "a"})
    new = _table(_normal(30, 2, seed=2), constants={"recipe": "8", "plant": "a"})
    report = _check(old, new)
    assert (report.verdict, report.kind) == ("drift", "sensor or process")
    assert _drifted(report) == ["recipe: 7 → 8"]
    assert report.features[0].family == "left-out"
    assert "another line learns it, no retrain" in report.detail


def test_column_that_was_constant_and_moved() -> None:
    old, new = _normal(60, 2, seed=1), _normal(40, 2, seed=2)
    old[:, 1], new[:, 1] = 5.0, 6.0
    report = _check(_table(old), _table(new, seed=1))
    assert _drifted(report) == ["c1: 5 → 6"]
    assert report.features[0].family == "constant"
    new[:, 1] = 5.0
    still = _check(_table(old), _table(new, seed=1))
    assert still.verdict == "no drift"
    assert "not measured (constant in both): c1" in still.detail


def test_one_odd_value_of_a_constant_is_no_drift() -> None:
    old, new = _normal(60, 2, seed=1), _normal(40, 2, seed=2)
    old[:, 1], new[:, 1], new[0, 1] = 5.0, 5.0, 6.0
    assert _check(_table(old), _table(new, seed=1)).verdict == "no drift"


def test_categories() -> None:
    rng = np.random.default_rng(0)
    old = pd.DataFrame({"k": rng.choice(["a", "b"], size=120)})
    same = pd.DataFrame({"k": rng.choice(["a", "b"], size=60)})
    moved = pd.DataFrame({"k": rng.choice(["a", "c"], size=60)})
    reference = _window(old, {"k": "feature"})
    assert _check(reference, _window(same, {"k": "feature"}, seed=1)).verdict == "no drift"
    report = _check(reference, _window(moved, {"k": "feature"}, seed=1))
    assert _drifted(report) == ["k"]


def test_missing_column_and_ignored_columns_are_named() -> None:
    old, new = _normal(60, 2, seed=1), _normal(40, 2, seed=2)
    new[:, 1] = np.nan
    report = _check(_table(old, ignored={"note": "free text"}), _table(new, seed=1))
    assert "not measured (free text): note" in report.detail
    assert "not measured (only 0 values on one side): c1" in report.detail


def test_alarm_rate_and_score() -> None:
    old, new = (
        _table(_normal(100, 2, seed=1)),
        _table(_normal(60, 2, seed=2), scores=np.full(60, 2.0) + _normal(60, 1, seed=3)[:, 0] / 9),
    )
    report = _check(old, new)
    assert report.kind == "scores only"
    assert set(_drifted(report)) == {"anomaly score", "alarm rate"}


def test_spent_horizon_is_said() -> None:
    old, new = _table(_normal(60, 2, seed=1)), _table(_normal(30, 2, seed=2))
    assert "held over the first 2 only" in _check(old, new, decided=2).detail
    assert "held over" not in _check(old, new, decided=1).detail


def _series(rows: int, rng: np.random.Generator) -> np.ndarray:
    series = np.zeros(rows)
    for row in range(1, rows):
        series[row] = 0.9 * series[row - 1] + rng.normal()
    return series[:, None]


def test_autocorrelated_series_needs_blocks() -> None:
    options = DriftOptions(false_alarm_rate=0.1, horizon=1, min_effect=0)
    with_blocks = without = 0
    for run in range(12):
        series = _series(900, np.random.default_rng(run))
        old, new = series[:600], series[600:]
        blocks = np.arange(900) // 60
        without += _check(_table(old, seed=run), _table(new, seed=-run % 99), options=options).verdict == "drift"
        grouped = (
            _table(old, seed=run, groups=blocks[:600]),
            _table(new, seed=-run % 99, groups=blocks[600:]),
        )
        with_blocks += _check(*grouped, options=options).verdict == "drift"
    assert with_blocks <= binom.ppf(0.999, 12, 0.1)
    assert without >= 10


def _pictures(count: int, *, seed: int, light: float = 1.0) -> DriftWindow:
    rng = np.random.default_rng(seed)
    images = [
        np.clip(rng.normal(120, 30, size=(48, 48, 3)) * light * rng.normal(1, 0.02), 0, 255).astype(np.uint8)
        for _ in range(count)
    ]
    frame = optics(images)
    # An embedding that sees the light and something of its own.
    frame["embedding 1"] = 3 * frame["brightness"] + rng.normal(size=count) * 0.02
    frame["embedding 2"] = rng.normal(size=count)
    return _window(frame, {**OPTICS, "embedding 1": "embedding", "embedding 2": "embedding"}, seed=seed)


def test_less_light_is_camera_or_lighting() -> None:
    report = _check(_pictures(80, seed=1), _pictures(40, seed=2, light=0.8))
    assert (report.verdict, report.kind) == ("drift", "camera or lighting")
    assert {"brightness", "embedding 1"} <= set(_drifted(report))
    assert "hide a product" in report.detail


def test_other_product_and_both() -> None:
    old, new = _pictures(80, seed=1), _pictures(40, seed=2)
    new.features["embedding 2"] += 3
    assert _check(old, new).kind == "product"
    darker = _pictures(40, seed=2, light=0.97)
    darker.features["embedding 2"] += 3
    assert _check(old, darker).kind == "both"
    assert _check(old, _pictures(40, seed=3)).verdict == "no drift"


def test_no_false_drift_of_wide_embeddings() -> None:
    # Principal components of the reference alone fit its noise; those of the pool know no side.
    cloud = _normal(260, 1_280, seed=1)
    old, new = embedding_features(cloud[:200], cloud[200:])
    families, options = dict.fromkeys(old, "embedding"), DriftOptions(horizon=1, min_effect=0)
    assert _check(_window(old, families), _window(new, families, seed=1), options=options).verdict == "no drift"
    centre = cloud[:200].mean(axis=0)
    own = (cloud - centre) @ np.linalg.svd(cloud[:200] - centre, full_matrices=False)[2][:16].T
    assert _check(_table(own[:200]), _table(own[200:], seed=1), options=options).verdict == "drift"


def test_html_report(tmp_path: Path) -> None:
    old = _window(
        pd.DataFrame({"<b>": _normal(80, 1, seed=1)[:, 0], "k": ["</script>", "b"] * 40}),
        {"<b>": "feature", "k": "feature"},
    )
    new = _window(
        pd.DataFrame({"<b>": _normal(40, 1, seed=2)[:, 0] + 3, "k": ["</script>", "b"] * 20}),
        {"<b>": "feature", "k": "feature"},
        seed=1,
    )
    path = write_html(old, new, report=_check(old, new), path=tmp_path / "reports" / "drift.html")
    page = path.read_text("utf-8")
    assert "press: drift (sensor or process)" in page
    assert "(b)" in page
    assert "(/script)" in page
    assert path.stat().st_size < 6_000_000


def test_html_without_columns_is_refused(tmp_path: Path) -> None:
    old, new = _table(_normal(60, 1, seed=1)), _table(_normal(5, 1, seed=2))
    with pytest.raises(NotEnoughDataError, match="measured"):
        write_html(old, new, report=_check(old, new), path=tmp_path / "drift.html")


def test_windows_check_themselves() -> None:
    values = _normal(10, 2, seed=1)
    with pytest.raises(ValueError, match="like the features"):
        _table(values, groups=np.arange(9))
    with pytest.raises(ValueError, match="finite"):
        _table(values, scores=np.full(10, np.nan))
    with pytest.raises(ValueError, match="thresholds differ"):
        _check(_table(values), _table(values, threshold=2.0))


def _lit(rows: int, shift: float, *, seed: int) -> DriftWindow:
    values = _normal(rows, 2, seed=seed) * [0.05, 1.0] + [0.1 * shift, 3 * shift]
    frame = pd.DataFrame(values, columns=["brightness", "embedding 1"])
    return _window(frame, {"brightness": "optics", "embedding 1": "embedding"}, seed=seed)


@pytest.mark.parametrize(("old", "new"), [(60, 1_500), (1_500, 60)])
def test_a_drift_of_windows_of_very_unlike_size_has_a_name(old: int, new: int) -> None:
    report = _check(_lit(old, 0, seed=1), _lit(new, 1.5, seed=2))
    assert (report.verdict, report.kind) == ("drift", "both")
