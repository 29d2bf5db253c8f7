"""How the benchmark of thresholds counts."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.thresholds import chance_of, effective_size, measure, rate_of, ruling
from components.testing.records import a_calibration


def test_independent_scores_count_in_full_and_repeated_ones_once():
    rng = np.random.default_rng(0)
    assert effective_size(rng.normal(size=1000)) > 700
    assert 60 < effective_size(np.repeat(rng.normal(size=100), 10)) < 160
    assert effective_size(np.zeros(10)) == 10


def test_an_interval_by_hand():
    found = rate_of(np.zeros(36, dtype=bool), size=36)
    assert found["high"] == pytest.approx(1 - 0.025 ** (1 / 36))  # Clopper and Pearson without a hit
    assert ruling(found, declared=0.05, chance=0.9) == "held"
    assert ruling(rate_of(np.zeros(20, dtype=bool), size=20), declared=0.05, chance=0.9) == "inconclusive"
    many = rate_of(np.arange(1000) < 100, size=1000)
    assert ruling(many, declared=0.05, chance=0.01) == "broken"
    assert ruling(many, declared=0.05, chance=0.2) == "inconclusive"
    assert ruling(rate_of(np.empty(0, dtype=bool), size=0), declared=0.05, chance=1.0) == "inconclusive"


def test_one_calibration_set_may_give_more_alarms_than_declared():
    # The largest of 19 scores is the threshold for 5 %. Of many new samples the share above it is Beta(1, 19): above
    # 10 % with a chance of 0.9 ** 19 = 0.135, so 10 % of 10,000 breaks nothing; with 1,999 scores it would.
    alarms = np.arange(10_000) < 1_000
    few = a_calibration(false_alarm_rate=0.05, samples=19)
    assert chance_of(alarms, few, size=10_000, calibrated=19) == pytest.approx(0.9**19, rel=0.02)
    many = a_calibration(false_alarm_rate=0.05, samples=1_999)
    assert chance_of(alarms, many, size=10_000, calibrated=1_999) < 1e-6
    assert chance_of(alarms, many, size=10_000, calibrated=20) > 0.1
    assert chance_of(np.zeros(50, bool), few, size=50, calibrated=19) == 1.0


def test_a_table_from_file_to_ruling(tmp_path):
    rng = np.random.default_rng(0)
    normal, odd = rng.normal(size=(3000, 3)), rng.normal(6, 1, size=(20, 3))
    frame = pd.DataFrame(np.concatenate([normal, odd]), columns=list("abc"))
    frame.assign(label=[0] * 3000 + [1] * 20).sample(frac=1, random_state=0).to_csv(tmp_path / "9 t.csv", index=False)
    # The rate holds on average over calibration sets; one of hundreds of samples is near enough to that.
    row = measure(tmp_path / "9 t.csv", rate=0.05, window=1, detector="deepsad", seed=3)
    assert (row["rule"], row["declared"], row["held"]) == ("conformal/split", 0.05, "held")
    assert row["n"] + row["anomalies"] > 250
    assert row["recall"]["value"] > 0.9
