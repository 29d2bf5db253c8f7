"""Two small lines with a fitted detector each, and an export of them in every format, made once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.core.contracts import ManifestColumn as Col
from components.core.contracts import Modality, TableSchema
from components.core.hashing import sha256_bytes
from components.core.lines import LineConfig, TableOptions
from components.core.ports import Detector
from components.core.scoring import score_all
from components.export.folder import Subject
from components.export.formats import FORMATS
from components.export.gate import Limits
from components.export.making import Made, Material, make_export
from components.metrics.thresholds import calibrate
from components.models import registry
from components.samples.sets import ImageSamples, TableSamples
from components.samples.tables import infer_schema, read_table, window_starts
from components.testing import pump_line, texture_line

LIMITS = Limits(flip_share=0.005, unsure_change=0.02, correlation=0.95)


@dataclass
class Case:
    """A line's manifest and files, and a detector fitted and calibrated on them."""

    line: LineConfig
    schema: TableSchema | None
    detector: Detector
    material: Material
    files: list[Path]
    folder: Path

    def export(self, name: str, folder: Path | None = None, **more: Any) -> tuple[Path, Made]:
        """Make the export `name`."""
        target = folder or self.folder / name
        target.mkdir(parents=True)
        given = {"material": self.material, "detector": self.detector, **more}
        made = make_export(
            target,
            Subject(
                line=self.line, version=3, detector=self.detector.name, dataset=f"{self.line.name}/v1", source="0" * 64,
                status="candidate", approved_by="", schema=self.schema,
            ),
            network=self.detector.as_network(),
            name=name,
            chosen=FORMATS[name],
            limits=LIMITS,
            seed=0,
            **given,
        )  # fmt: skip
        return target, made


def material_of(samples: Any, read: Callable[[str], bytes], scores: dict[str, float]) -> Material:
    rows = samples.rows
    kept = rows[rows[Col.SPLIT] != "train"].reset_index(drop=True)
    return Material(
        rows=kept,
        samples=samples.subset(np.flatnonzero(rows[Col.SPLIT] != "train")),
        training=rows[rows[Col.SPLIT] == "train"],
        held_out=scores,
        left_out=None,
        read=read,
    )


def calibrated(detector: Detector, samples: Any) -> dict[str, float]:
    held = samples.subset(np.flatnonzero(samples.rows[Col.SPLIT] == "calibration"))
    scores = score_all(detector, held).image
    detector.calibration = calibrate(scores, rate=None, method="split", seed=0)
    return dict(zip(held.ids, scores.tolist(), strict=True))


def manifest(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [{Col.LABEL: "normal", Col.MASK: "", Col.GROUP: "", Col.START: 0, Col.END: 0} | r for r in rows]
    )


def images_by(detector: Detector, folder: Path) -> Case:
    """A line of images, and `detector` fitted and calibrated on it."""
    texture_line.write_batch(folder / "raw", batch=1, seed=0, size=64, train_images=24, test_good=6, test_bad=6)
    paths = sorted((folder / "raw" / "train").rglob("*.png"))
    test = sorted((folder / "raw" / "test").rglob("*.png"))
    stored = {sha256_bytes(path.read_bytes()): path.read_bytes() for path in [*paths, *test]}
    names = {path: sha256_bytes(path.read_bytes()) for path in [*paths, *test]}
    split = {path: "train" if number % 2 else "calibration" for number, path in enumerate(paths)}
    rows = [{Col.SAMPLE: names[path], Col.FILE: names[path], Col.SPLIT: split.get(path, "test")} for path in names]
    line = LineConfig(name="stones", modality=Modality.IMAGE, source=str(folder))
    samples = ImageSamples(manifest(rows), read=stored.__getitem__, options=line.image)
    detector.fit(samples.subset(np.flatnonzero(samples.rows[Col.SPLIT] == "train")), seed=0)
    scores = calibrated(detector, samples)
    return Case(line, None, detector, material_of(samples, stored.__getitem__, scores), test, folder)


@pytest.fixture(scope="session")
def image_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    detector = registry.create("memory-bank", {"image_size": 64, "coreset_ratio": 0.1}, schema=None)
    return images_by(detector, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def ensemble_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    detector = registry.create("ensemble", {"bank_size": 64, "dino_size": 112, "dino_blocks": "6"}, schema=None)
    return images_by(detector, tmp_path_factory.mktemp("ensemble"))


@pytest.fixture(scope="session")
def table_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("tables")
    pump_line.write_batch(folder / "raw", batch=1, seed=0, rows=1500)
    path = next((folder / "raw").glob("*.csv"))
    options = TableOptions(window=10, stride=5, label="anomaly", timestamp="time")
    line = LineConfig(name="pump", modality=Modality.TABLE, source=str(path), table=options)
    frame = read_table(path.read_bytes())
    schema = infer_schema(frame, options)
    file = sha256_bytes(path.read_bytes())
    rows = [
        {Col.SAMPLE: f"{low:064x}", Col.FILE: file, Col.START: low, Col.END: high, Col.SPLIT: split}
        for number, (low, high) in enumerate(window_starts(frame, schema).tolist())
        for split in [("train", "calibration", "test")[number % 3]]
    ]
    stored = {file: path.read_bytes()}
    samples = TableSamples(manifest(rows), read=stored.__getitem__, schema=schema)
    detector = registry.create("deepsad", {"epochs": 5, "pretrain_epochs": 2}, schema=schema)
    detector.fit(samples.subset(np.flatnonzero(samples.rows[Col.SPLIT] == "train")), seed=0)
    scores = calibrated(detector, samples)
    return Case(line, schema, detector, material_of(samples, stored.__getitem__, scores), [path], folder)


@pytest.fixture(scope="session")
def exports(image_case: Case, table_case: Case) -> dict[tuple[str, str], tuple[Path, Made]]:
    """(modality, format) → an export."""
    made = {("image", name): image_case.export(name) for name in FORMATS}
    return made | {("table", name): table_case.export(name) for name in ("onnx", "openvino")}
