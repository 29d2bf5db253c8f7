import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from components.core.contracts import Calibration, Scores
from components.core.errors import NotEnoughDataError
from components.core.hashing import folder_hashes
from components.core.lines import ExplainOptions
from components.explain.exact import exact_shapley
from components.explain.filling import NormalImages
from components.explain.games import columns_play, window_game
from components.explain.image_report import explain_images
from components.explain.report import Explanations
from components.explain.selection import choose
from components.explain.shapley import pick_background
from components.explain.table_report import explain_tables
from components.metrics.verdicts import answers

LIMITS = Calibration(
    threshold=2.0, low=1.8, high=2.2, false_alarm_rate=0.05, samples=40, method="split", guarantee="of a test"
)


class Memory:
    """Samples held in a list or an array."""

    def __init__(self, items: Sequence[np.ndarray] | np.ndarray, labels: Sequence[int]) -> None:
        self.items = items
        self.labels = np.array(labels, dtype=np.int8)
        self.ids = [f"{number:064x}" for number in range(len(labels))]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]):
        chosen = [self.items[index] for index in indices]
        return np.stack(chosen) if isinstance(self.items, np.ndarray) else chosen


class Blocks:
    """Score of a place: how far the mean of its 8 x 8 block is from grey, in tenths."""

    def explain(self, batch) -> np.ndarray:
        luma = [image.mean(axis=2)[:48, :64].reshape(6, 8, 8, 8).mean(axis=(1, 3)) for image in batch]
        return np.abs(np.stack(luma) / 255 - 0.5).astype(np.float32) * 10

    def score(self, batch) -> Scores:
        return Scores(image=self.explain(batch).max(axis=(1, 2)).astype(np.float64))


def _images(count: int, *, bad: int = 3) -> Memory:
    rng = np.random.default_rng(0)
    images = [rng.normal(128, 25, size=(48, 64, 3)).clip(0, 255).astype(np.uint8) for _ in range(count)]
    for number in range(bad):
        images[number][8:24, 16:32] = 250
    return Memory(images, [1] * bad + [0] * (count - bad))


def test_choice_by_hand() -> None:
    scores = np.array([5.0, 0.1, 2.1, 0.5, 1.9, 4.0, 0.9, 2.3])
    labels = np.array([1, 0, 0, 0, 1, 1, 0, 0], dtype=np.int8)
    chosen = choose(Scores(image=scores), labels=labels, calibration=LIMITS, each=2)
    assert [(item.index, item.reason, item.verdict) for item in chosen] == [
        (0, "anomalous", "NG"),
        (5, "anomalous", "NG"),
        (2, "uncertain", "unsure"),
        (4, "uncertain", "unsure"),
        (7, "normal", "NG"),
        (1, "normal", "OK"),
    ]


def test_one_sample_is_chosen_once() -> None:
    chosen = choose(Scores(image=np.array([0.3])), labels=np.zeros(1, dtype=np.int8), calibration=LIMITS, each=4)
    assert [item.reason for item in chosen] == ["anomalous"]


def test_uncertain_are_chosen_by_the_scores_own_error_too() -> None:
    # Without it 2.5 is nearest to 2.0; with deviations of 0.05, 0.6 and 1.5 the last is the least clear.
    scores = Scores(image=np.array([9.0, 2.5, 3.0, 3.2]), uncertainty=np.array([0.0, 0.05, 0.6, 1.5]))
    labels = np.zeros(4, dtype=np.int8)
    chosen = choose(scores, labels=labels, calibration=LIMITS, each=1)
    assert [(item.index, item.verdict) for item in chosen[:2]] == [(0, "NG"), (3, "unsure")]
    plain = choose(Scores(image=scores.image), labels=labels, calibration=LIMITS, each=1)
    assert [(item.index, item.verdict) for item in plain[:2]] == [(0, "NG"), (1, "NG")]
    said = answers(scores.image, LIMITS, uncertainty=scores.uncertainty)
    assert [said[item.index].word for item in chosen] == [item.verdict for item in chosen]


def _normal_images() -> NormalImages:
    rng = np.random.default_rng(1)
    images = [rng.normal(128, 25, size=(48, 64, 3)).clip(0, 255).astype(np.uint8) for _ in range(3)]
    return NormalImages(Memory(images, [0] * 3), range(3))


def test_image_folder(tmp_path: Path) -> None:
    samples, detector = _images(12, bad=6), Blocks()
    found = explain_images(
        samples,
        detector=detector,
        scores=detector.score(samples.items),
        calibration=LIMITS,
        normal=_normal_images(),
        directory=tmp_path / "x",
        seed=0,
        each=3,
    )
    (check,) = found.checks
    assert (check.name, check.status) == ("heat_map_deletion", "met")
    assert json.loads((tmp_path / "x" / "checks.json").read_text()) == [check.model_dump(mode="json")]
    tests = json.loads((tmp_path / "x" / "deletion.json").read_text())["samples"]
    assert {entry["sample"] for entry in tests} == set(samples.ids[:6])
    assert all(entry["marked_filled"] < entry["score"] for entry in tests)
    assert "deletion.png" in found.files
    assert found.files == folder_hashes(tmp_path / "x")
    assert {"sheet.png", "index.json", "maps.npy", "anomalous-1.png", "uncertain-3.png", "normal-3.png"} <= set(
        found.files
    )
    index = json.loads((tmp_path / "x" / "index.json").read_text())
    assert {entry["sample"] for entry in index["samples"][:3]} == set(samples.ids[:3])
    assert index["samples"][0]["verdict"] == "NG"
    assert index["samples"][0]["label"] == "labelled anomalous"
    maps = np.load(tmp_path / "x" / "maps.npy", allow_pickle=False)
    assert maps.shape == (9, 6, 8)
    assert maps.dtype == np.float32
    with Pillow.open(tmp_path / "x" / "anomalous-1.png") as picture:
        assert picture.size == (128, 48)
        pixels = np.asarray(picture)
    # The right half is hot on the bright square and calm far from it.
    assert np.abs(pixels[:, 64:].astype(int) - pixels[:, :64])[40:, 40:].max() == 0
    assert np.abs(pixels[:, 64:].astype(int) - pixels[:, :64])[12:20, 20:28].max() > 60


def test_image_folder_is_the_same_each_time(tmp_path: Path) -> None:
    samples, scores = _images(6), np.array([4.9, 4.8, 4.7, 0.3, 0.2, 0.1])
    written = [
        explain_images(
            samples,
            detector=Blocks(),
            scores=Scores(image=scores),
            calibration=LIMITS,
            normal=_normal_images(),
            directory=tmp_path / name,
            seed=4,
            each=1,
        )
        for name in ("a", "b")
    ]
    assert written[0] == written[1]


def test_image_set_of_one_and_of_none(tmp_path: Path) -> None:
    samples = _images(12)
    one = Memory(samples.items[:1], [0])

    def explained(some: Memory, scores: np.ndarray, name: str, normal: NormalImages | None) -> Explanations:
        return explain_images(
            some,
            detector=Blocks(),
            scores=Scores(image=scores),
            calibration=LIMITS,
            normal=normal,
            directory=tmp_path / name,
            seed=0,
        )

    found = explained(one, np.array([1.0]), "one", _normal_images())
    assert "anomalous-1.png" in found.files
    assert "too few" in found.checks[0].detail
    without = explained(one, np.array([1.0]), "without", None)
    assert (without.checks[0].status, without.figures) == ("unmeasured", {})
    assert "deletion.json" not in without.files
    with pytest.raises(NotEnoughDataError, match="no sample"):
        explained(Memory([], []), np.zeros(0), "none", None)
    assert not (tmp_path / "none").exists()


def _distance(windows: np.ndarray) -> np.ndarray:
    return np.sqrt((np.nan_to_num(windows).mean(axis=1) ** 2).sum(axis=1))


def test_table_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(40, 4, 3)) * 0.5
    windows[:5, :, 1] += 4
    windows[7, :, 2] = np.nan
    samples, background = Memory(windows, [1] * 5 + [0] * 35), rng.normal(size=(60, 4, 3)) * 0.5
    found = explain_tables(
        samples,
        score=_distance,
        scores=Scores(image=_distance(windows)),
        calibration=LIMITS,
        background=background,
        features=["flow", "heat $x", "feature"],
        directory=tmp_path / "x",
        seed=3,
        each=1,
    )
    assert found.files == folder_hashes(tmp_path / "x")
    assert {"summary.png", "values.parquet", "means.parquet", "index.json", "anomalous-1.png"} <= set(found.files)
    values = pd.read_parquet(tmp_path / "x" / "values.parquet")
    columns = ["feature:flow", "feature:heat $x", "feature:feature"]
    assert values[columns].iloc[0].idxmax() == "feature:heat $x"
    assert np.allclose(values["base"] + values[columns].sum(axis=1), values["score"])
    assert len(values) == 30
    assert found.figures["evaluations"] == 2**3
    usual = pick_background(background, seed=3)
    exact = exact_shapley(window_game(_distance, windows[0], usual, columns_play(4, 3)), 3)
    assert values.loc[values["sample"] == samples.ids[0], columns].to_numpy()[0] == pytest.approx(exact)
    assert any("proves nothing" in note for note in found.notes)
    names = ["shapley_seeds", "shapley_exact", "shapley_over_time_seeds", "shapley_over_time_exact"]
    assert [(check.name, check.status, check.limit) for check in found.checks] == [(name, "met", 0.1) for name in names]
    assert {"anomalous-1-time.png", "checks.json"} <= set(found.files)
    blocks, cells = (pd.read_parquet(tmp_path / "x" / f"{name}.parquet") for name in ("blocks", "cells"))
    first = blocks["sample"] == blocks["sample"].iloc[0]
    assert blocks[first][["block", "start", "end"]].to_numpy().tolist() == [[n, n, n + 1] for n in range(4)]
    assert blocks[first]["value"].sum() == pytest.approx(values["score"].iloc[0] - values["base"].iloc[0])
    by_sensor = cells[cells["sample"] == values["sample"].iloc[0]].groupby("sensor")["value"].sum()
    assert by_sensor["heat $x"] == pytest.approx(values["feature:heat $x"].iloc[0])
    index = json.loads((tmp_path / "x" / "index.json").read_text())
    assert [entry["reason"] for entry in index["samples"]] == ["anomalous", "uncertain", "normal"]


def test_rows_by_themselves_have_no_course_of_time(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(12, 1, 3))
    found = explain_tables(
        Memory(rows, [0] * 12),
        score=_distance,
        scores=Scores(image=_distance(rows)),
        calibration=LIMITS,
        background=rows[6:],
        features=["a", "b", "c"],
        directory=tmp_path / "x",
        seed=0,
        each=1,
        options=ExplainOptions(evaluations=64, max_error=0.02),
    )
    assert [(check.name, check.limit) for check in found.checks] == [("shapley_seeds", 0.02), ("shapley_exact", 0.02)]
    assert not [name for name in found.files if "time" in name or name in {"blocks.parquet", "cells.parquet"}]


def test_table_without_background_is_refused(tmp_path: Path) -> None:
    samples = Memory(np.zeros((2, 1, 2)), [0, 0])
    with pytest.raises(NotEnoughDataError, match="normal training"):
        explain_tables(
            samples,
            score=_distance,
            scores=Scores(image=np.zeros(2)),
            calibration=LIMITS,
            background=np.zeros((0, 1, 2)),
            features=["a", "b"],
            directory=tmp_path / "x",
            seed=0,
        )
