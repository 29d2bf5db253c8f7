import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from components.core.contracts import Calibration
from components.core.errors import NotEnoughDataError
from components.core.hashing import folder_hashes
from components.explain.report import explain_images, explain_tables
from components.explain.selection import choose

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


def _images(count: int) -> Memory:
    rng = np.random.default_rng(0)
    images = [rng.normal(128, 25, size=(48, 64, 3)).clip(0, 255).astype(np.uint8) for _ in range(count)]
    for number in range(3):
        images[number][8:24, 16:32] = 250
    return Memory(images, [1] * 3 + [0] * (count - 3))


def test_choice_by_hand() -> None:
    scores = np.array([5.0, 0.1, 2.1, 0.5, 1.9, 4.0, 0.9, 2.3])
    labels = np.array([1, 0, 0, 0, 1, 1, 0, 0], dtype=np.int8)
    chosen = choose(scores, labels=labels, calibration=LIMITS, each=2)
    assert [(item.index, item.reason, item.verdict) for item in chosen] == [
        (0, "anomalous", "NG"),
        (5, "anomalous", "NG"),
        (2, "uncertain", "unsure"),
        (4, "uncertain", "unsure"),
        (7, "normal", "NG"),
        (1, "normal", "OK"),
    ]


def test_one_sample_is_chosen_once() -> None:
    chosen = choose(np.array([0.3]), labels=np.zeros(1, dtype=np.int8), calibration=LIMITS, each=4)
    assert [item.reason for item in chosen] == ["anomalous"]


def test_image_folder(tmp_path: Path) -> None:
    samples, detector = _images(12), Blocks()
    scores = np.array([detector.explain(samples.take([index])).max() for index in range(12)], dtype=np.float64)
    found = explain_images(
        samples, detector=detector, scores=scores, calibration=LIMITS, directory=tmp_path / "x", each=3
    )
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
        explain_images(samples, detector=Blocks(), scores=scores, calibration=LIMITS, directory=tmp_path / name, each=1)
        for name in ("a", "b")
    ]
    assert written[0] == written[1]


def test_image_set_of_one_and_of_none(tmp_path: Path) -> None:
    samples = _images(12)
    one = Memory(samples.items[:1], [0])
    found = explain_images(
        one, detector=Blocks(), scores=np.array([1.0]), calibration=LIMITS, directory=tmp_path / "one"
    )
    assert "anomalous-1.png" in found.files
    with pytest.raises(NotEnoughDataError, match="no sample"):
        explain_images(
            Memory([], []), detector=Blocks(), scores=np.zeros(0), calibration=LIMITS, directory=tmp_path / "none"
        )
    assert not (tmp_path / "none").exists()


def _distance(windows: np.ndarray) -> np.ndarray:
    return np.sqrt((np.nan_to_num(windows).mean(axis=1) ** 2).sum(axis=1))


def test_table_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(40, 4, 3)) * 0.5
    windows[:5, :, 1] += 4
    windows[7, :, 2] = np.nan
    samples = Memory(windows, [1] * 5 + [0] * 35)
    found = explain_tables(
        samples,
        score=_distance,
        scores=_distance(windows),
        calibration=LIMITS,
        background=rng.normal(size=(60, 4, 3)) * 0.5,
        features=["flow", "heat $x", "feature"],
        directory=tmp_path / "x",
        seed=3,
        each=2,
    )
    assert found.files == folder_hashes(tmp_path / "x")
    assert {"summary.png", "values.parquet", "means.parquet", "index.json", "anomalous-1.png"} <= set(found.files)
    values = pd.read_parquet(tmp_path / "x" / "values.parquet")
    columns = ["feature:flow", "feature:heat $x", "feature:feature"]
    assert values[columns].iloc[0].idxmax() == "feature:heat $x"
    assert np.allclose(values["base"] + values[columns].sum(axis=1), values["score"])
    assert len(values) == 40
    assert found.figures["exact_disagreement"] < 1e-6
    assert found.figures["evaluations"] == 256
    assert any("proves nothing" in note for note in found.notes)
    index = json.loads((tmp_path / "x" / "index.json").read_text())
    assert [entry["reason"] for entry in index["samples"]] == ["anomalous"] * 2 + ["uncertain"] * 2 + ["normal"] * 2


def test_table_without_background_is_refused(tmp_path: Path) -> None:
    samples = Memory(np.zeros((2, 1, 2)), [0, 0])
    with pytest.raises(NotEnoughDataError, match="normal training"):
        explain_tables(
            samples,
            score=_distance,
            scores=np.zeros(2),
            calibration=LIMITS,
            background=np.zeros((0, 1, 2)),
            features=["a", "b"],
            directory=tmp_path / "x",
            seed=0,
        )
