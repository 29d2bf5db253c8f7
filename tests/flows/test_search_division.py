"""What a search's trials are fitted and scored on."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from components.core.contracts import Column, DatasetVersion, Modality, Split, TableSchema, now
from components.core.errors import ModelError, NotEnoughDataError
from components.core.lines import LineConfig
from components.core.seeds import generator
from components.models import registry
from components.samples.manifest import manifest_rows
from components.search.synthetic import ENOUGH, drawn_on, is_synthetic
from components.train.fitting import SMALL
from components.version.splits import assign_splits
from flows.data import LineData
from flows.jobs.modelling import is_small
from flows.jobs.searching import _evaluate, divided, searched_detectors

WINDOW, STRIDE, ROWS = 20, 5, 3_000
SCHEMA = TableSchema(
    features=(Column(name="flow", kind="numeric"),), window=WINDOW, stride=STRIDE, block_rows=10 * WINDOW
)


def read(digest):
    return np.random.default_rng(int(digest, 16)).integers(0, 255, (8, 8, 3)).astype(np.uint8).tobytes()


def line_data(rows, *, schema=None):
    modality = Modality.TABLE if schema else Modality.IMAGE
    line = LineConfig.model_validate({"name": "press", "modality": modality, "source": "/data"})
    manifest, _ = assign_splits(rows, previous=None, line=line, schema=schema)
    version = DatasetVersion(
        line="press", number=1, modality=modality, revision="", counts={}, table=schema, created=now(),
        manifest_sha256="0" * 64,
    )  # fmt: skip
    return LineData(line=line, version=version, manifest=manifest, read=read)


def named(count, **columns):
    names = [f"{generator(3, number).integers(2**62):064x}" for number in range(count)]
    return manifest_rows({"sample": names, "file": names, "path": names, "label": ["normal"] * count, **columns})


@pytest.fixture
def windows():
    starts = np.arange(0, ROWS - WINDOW, STRIDE)
    rows = named(len(starts), start=starts, end=starts + WINDOW)
    rows["path"] = "log.csv"
    return line_data(rows, schema=SCHEMA)


def spans(data, samples):
    rows = data.manifest.set_index("sample").loc[[name for name in samples.ids if not is_synthetic(name)]]
    return rows["start"].to_numpy(), rows["end"].to_numpy()


def test_lent_images_validate_and_are_not_fitted_on():
    data = line_data(named(100))
    parts = divided(data, seed=0)
    real = [name for name in parts.validation.ids if not is_synthetic(name)]
    assert len(parts.training) == 45
    assert len(real) == len(set(real)) == 10 + parts.lent == 10 + 15  # a quarter of the 60 training images
    assert not set(real) & set(parts.training.ids)
    assert parts.synthetic
    assert set(parts.groups) == set(real)
    assert divided(data, seed=0).validation.ids == parts.validation.ids != divided(data, seed=1).validation.ids


def test_no_trial_is_fitted_on_a_window_close_to_what_it_is_scored_on(windows):
    parts = divided(windows, seed=0)
    (starts, ends), (scored, scored_ends) = spans(windows, parts.training), spans(windows, parts.validation)
    gaps = np.maximum(scored[:, None] - ends, starts - scored_ends[:, None])
    assert gaps.min() >= WINDOW
    assert len(scored) > (windows.manifest["split"] == "validation").sum()


def test_machines_that_failed_once_each_are_calibrated_across_folds():
    rows = named(2_000, start=range(2_000), end=range(1, 2_001))
    rows["group"] = [f"machine {row // 5}" for row in range(2_000)]
    rows["label"] = ["anomalous" if row % 5 == 4 else "normal" for row in range(2_000)]
    data = line_data(rows, schema=SCHEMA.model_copy(update={"window": 1, "stride": 1, "block_rows": 1}))
    assert data.rows(Split.CALIBRATION).empty
    assert len(np.unique(data.groups(data.rows(Split.TRAIN)))) > SMALL
    assert is_small(data)


@pytest.mark.parametrize(("images", "small"), [(90, True), (300, True), (600, False)])
def test_what_cannot_support_the_usual_rate_alone_is_calibrated_across_folds(images, small):
    data = line_data(named(images), schema=None)
    assert is_small(data) == small
    assert (len(data.rows(Split.CALIBRATION)) < 99) == small


def declaring(data, rate):
    line = data.line.model_copy(update={"false_alarms": rate})
    return SimpleNamespace(line=line, data=dataclasses.replace(data, line=line), plan=SimpleNamespace(budget=2))


def test_a_search_tries_only_what_can_be_calibrated_for_the_declared_rate():
    data = line_data(named(600))
    every = searched_detectors(declaring(data, None))
    assert {"ensemble", "memory-bank", "gaussian"} <= set(every)
    assert searched_detectors(declaring(data, 1e-6)) == every  # none can: the first is refused with the numbers
    strict = declaring(data, 1 / 2000)
    assert set(searched_detectors(strict)) == {"ensemble", "memory-bank", "dino-memory"}
    parts = divided(data, seed=0)
    for params in ({"detector": "memory-bank", "reweight": 4}, {"detector": "gaussian"}):
        with pytest.raises(ModelError, match="calibration samples"):
            _evaluate(strict, params, 0, parts)


def test_windows_of_one_block_and_what_is_drawn_on_them_count_as_one(windows):
    parts = divided(windows, seed=0)
    block_of = windows.manifest.set_index("sample")["group"]
    names = [drawn_on(name) for name in parts.validation.ids]
    assert parts.groups.tolist() == block_of[names].tolist()
    assert len(set(parts.groups)) < len(set(names))


@pytest.mark.parametrize(
    ("left", "lacking"),
    [
        (["train", "calibration", "test"], "validate"),
        (["validation", "calibration", "test"], "train"),
        ([], "train"),
    ],
    ids=["no validation", "no training", "nothing"],
)
def test_without_normal_samples_there_is_no_search(left, lacking):
    data = line_data(named(100))
    rows = pd.DataFrame(data.manifest[data.manifest["split"].isin(left)])
    with pytest.raises(NotEnoughDataError, match=f"press/v1 has no normal samples to {lacking} on") as refused:
        divided(LineData(line=data.line, version=data.version, manifest=rows, read=read), seed=0)
    assert refused.value.hint == "Add normal samples to the source."


def test_anomalous_training_samples_alone_are_none_to_train_on():
    data = line_data(named(100))
    rows = data.manifest.assign(label=data.manifest["label"].where(data.manifest["split"] != "train", "anomalous"))
    with pytest.raises(NotEnoughDataError, match="press/v1 has no normal samples to train on"):
        divided(LineData(line=data.line, version=data.version, manifest=rows, read=read), seed=0)


def test_a_window_longer_than_every_run_is_named_as_the_reason():
    one_short = line_data(named(1, start=[0], end=[WINDOW - 1]), schema=SCHEMA)
    with pytest.raises(NotEnoughDataError) as refused:
        divided(one_short, seed=0)
    longest = f"The longest run has {WINDOW - 1} rows, a window {WINDOW}:"
    assert refused.value.hint == f"{longest} give `window` fewer, or add longer runs."


@pytest.mark.parametrize("known", [0, 1, ENOUGH - 1, ENOUGH])
def test_drawn_anomalies_join_few_real_ones_and_what_they_flatter_is_left_out_then(known, monkeypatch):
    data = line_data(named(100))
    held = np.flatnonzero(data.manifest["split"] == "validation")
    data.manifest.loc[held[:known], "label"] = "anomalous"
    parts = divided(data, seed=0)
    drawn = [name for name in parts.validation.ids if is_synthetic(name)]
    anomalous = set(data.manifest["sample"].iloc[held[:known]])
    assert parts.synthetic == bool(drawn) == (known < ENOUGH)
    assert parts.validation.labels.sum() == known + len(drawn)
    assert not anomalous & {drawn_on(name) for name in drawn}
    told = []
    monkeypatch.setattr(registry, "portfolio", lambda *_, synthetic, **__: told.append(synthetic) or ())
    searched_detectors(SimpleNamespace(line=data.line, data=data))
    assert told == [parts.synthetic]


def test_without_rows_nothing_is_said_of_windows(windows):
    empty = LineData(line=windows.line, version=windows.version, manifest=windows.manifest.iloc[:0], read=read)
    with pytest.raises(NotEnoughDataError) as refused:
        divided(empty, seed=0)
    assert refused.value.hint == "Add normal samples to the source."
