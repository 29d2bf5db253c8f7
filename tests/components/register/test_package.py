"""The export scores what the detector scores: in another process, by plain MLflow, without our packages."""

import ast
import io
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from components.adapters.tracking import LoggedModelRef, Tracker, environment
from components.core.contracts import Calibration, Column, Modality, TableSchema
from components.core.errors import ModelError
from components.core.hashing import folder_hashes
from components.core.lines import LineConfig
from components.core.ports import Batch, Detector
from components.metrics.verdicts import answers
from components.models import registry
from components.register.package import PACKAGE, REQUIREMENTS, SHIPPED, build_package, requirements
from components.register.verify import load_verified
from components.samples.tables import cut, readings, window_starts
from components.settings import Settings

ROOT = Path(__file__).parents[3]

SCORE = textwrap.dedent("""
    import gc, sys
    gc.set_threshold(50_000)
    import mlflow, pandas

    mlflow.set_tracking_uri(sys.argv[1])
    for name in sys.argv[3:]:
        model = mlflow.pyfunc.load_model(f"models:/{name}/1")
        example = model.input_example
        assert len(model.predict(example)) == 1, example
        raw = pandas.read_parquet(f"{sys.argv[2]}/{name}-raw.parquet")
        model.predict(raw).to_parquet(f"{sys.argv[2]}/{name}-scores.parquet")
    assert not [name for name in sys.modules if name.split(".")[0] in ("components", "flows", "agents")]
    gc.freeze()
""")


@dataclass
class Held:
    """Samples that are in memory."""

    batch: Any

    @property
    def ids(self) -> Sequence[str]:
        return [str(number) for number in range(len(self.batch))]

    @property
    def labels(self) -> NDArray[np.int8]:
        return np.zeros(len(self.batch), np.int8)

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, indices: Sequence[int]) -> Batch:
        chosen: Batch = (
            self.batch[list(indices)] if isinstance(self.batch, np.ndarray) else [self.batch[i] for i in indices]
        )
        return chosen


@dataclass
class Trained:
    """A fitted detector, its line, and raw input that it never saw, with the native scores of it."""

    line: LineConfig
    schema: TableSchema | None
    detector: Detector
    folder: Path
    raw: pd.DataFrame
    example: pd.DataFrame
    scores: NDArray[np.float64]
    uncertainty: NDArray[np.float64] | None
    bounds: NDArray[np.int64] | None


def calibration(scores: NDArray[np.float64]) -> Calibration:
    low, threshold, high = (float(value) for value in np.quantile(scores, [0.4, 0.5, 0.6]))
    return Calibration(
        threshold=threshold, low=low, high=high, false_alarm_rate=0.5, samples=len(scores), method="split",
        guarantee="none, it is a test",
    )  # fmt: skip


def encoded(image: NDArray[np.uint8]) -> bytes:
    target = io.BytesIO()
    Pillow.fromarray(image).save(target, "PNG")
    return target.getvalue()


def trained_on_images(folder: Path) -> Trained:
    draw = np.random.default_rng(0)
    images = [draw.integers(90, 130, (96, 80, 3), dtype=np.uint8) for _ in range(12)]
    images[-1][30:60, 20:50] = 255
    line = LineConfig(name="surface", modality=Modality.IMAGE, source="x")
    detector = registry.create(registry.default_detector(line.modality), {}, schema=None)
    detector.fit(Held(images[:6]), seed=1)
    scores = detector.score(images[6:])
    raw = pd.DataFrame({"image": [encoded(image) for image in images[6:]]})
    return saved(
        folder, Trained(line, None, detector, folder, raw, raw.head(1), scores.image, scores.uncertainty, None)
    )


def trained_on_tables(folder: Path) -> Trained:
    draw = np.random.default_rng(0)
    schema = TableSchema(
        features=(
            Column(name="Druck", kind="numeric"),
            Column(name="count", kind="numeric"),
            Column(name="kind", kind="categorical", categories=("H", "L", "M")),
        ),
        timestamp="time", window=4, stride=4,
    )  # fmt: skip
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=802, freq="s").astype(str),
            "Druck": draw.normal(5, 1, 802),
            "count": draw.integers(0, 9, 802),
            "kind": draw.choice(["L", "M", "H"], 802),
            "operator": "ada",
        }
    )
    line = LineConfig.model_validate(
        {"name": "pump", "modality": "table", "source": "x", "table": {"window": 4, "group": "batch"}}
    )
    bounds = window_starts(frame, schema, group="batch")
    windows = cut(readings(frame, schema), bounds, window=4)
    detector = registry.create(registry.default_detector(line.modality), {}, schema=schema)
    detector.fit(Held(windows[:150]), seed=1)
    scores = detector.score(windows)
    return saved(
        folder, Trained(line, schema, detector, folder, frame, frame.head(4), scores.image, scores.uncertainty, bounds)
    )


def saved(folder: Path, trained: Trained) -> Trained:
    trained.detector.calibration = calibration(trained.scores)
    trained.detector.save(folder)
    return trained


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """ "images" and "tables"."""
    folder = tmp_path_factory.mktemp("trained")
    return {"images": trained_on_images(folder / "images"), "tables": trained_on_tables(folder / "tables")}


@pytest.fixture(params=["images", "tables"])
def trained(request: pytest.FixtureRequest, both: dict[str, Trained]) -> Trained:
    return both[request.param]


@dataclass
class Registered:
    """Both models in one MLflow, and what a stranger with MLflow alone got from them, by the lines' names."""

    tracker: Tracker
    refs: dict[str, LoggedModelRef]
    scores: dict[str, pd.DataFrame]
    current: Path


@pytest.fixture(scope="module")
def registered(both: dict[str, Trained], tmp_path_factory: pytest.TempPathFactory) -> Registered:
    work = tmp_path_factory.mktemp("registered")
    for name in ("home", "current"):
        (work / name).mkdir()
    settings = Settings(home=work / "home")
    tracker, refs = Tracker(settings), {}
    for one in both.values():
        name = one.line.name
        package = build_package(one.folder, work / name, line=one.line, schema=one.schema, example=one.example)
        run = tracker.start_retrain(name, retrain_id="r1", params={}, tags={})
        refs[name] = tracker.log_model(run, line=name, retrain_id="r1", model_dir=package)
        tracker.create_version(name, model_id=refs[name].model_id, run_id=run, retrain_id="r1")
        one.raw.to_parquet(work / f"{name}-raw.parquet")
    # Our packages are neither in its path nor in its folder.
    answer = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:mlflow", "-c", SCORE, settings.tracking_uri, str(work), *refs],
        cwd=work / "current", capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment(settings),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    scores = {name: pd.read_parquet(work / f"{name}-scores.parquet") for name in refs}
    return Registered(tracker, refs, scores, work / "current")


def test_plain_mlflow_scores_as_the_detector_does(trained: Trained, registered: Registered) -> None:
    found = registered.scores[trained.line.name]
    assert np.array_equal(found["score"], trained.scores)
    made = trained.detector.calibration
    assert made is not None
    assert set(found["threshold"]) == {made.threshold}
    said = answers(trained.scores, made, uncertainty=trained.uncertainty)
    assert list(found["verdict"]) == [answer.word for answer in said]
    assert {"NG", "unsure"} <= set(found["verdict"])
    if trained.bounds is not None:
        assert np.array_equal(found[["start", "end"]], trained.bounds)
    # MLflow loaded it in place and left bytecode there; our own record still holds.
    ref = registered.refs[trained.line.name]
    again = load_verified(registered.tracker.local_folder(ref.folder), files=ref.files)
    assert again.calibration == trained.detector.calibration
    assert list(registered.current.iterdir()) == []


def test_the_detector_folder_is_what_save_wrote_and_all_else_is_text(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "left.over").write_text("")
    package = build_package(
        trained.folder, tmp_path / "package", line=trained.line, schema=trained.schema, example=trained.example
    )
    files = folder_hashes(package)
    assert {
        name.removeprefix("detector/"): digest for name, digest in files.items() if name.startswith("detector/")
    } == (folder_hashes(trained.folder))
    assert {Path(name).suffix for name in files} <= {".json", ".safetensors", ".py", ".txt", ".yaml"}
    assert (package / "code" / PACKAGE / "models" / "registry.py").is_file()
    # The same detector gives the same folder, so that a repeated step changes nothing.
    build_package(trained.folder, tmp_path / "twin", line=trained.line, schema=trained.schema, example=trained.example)
    assert folder_hashes(tmp_path / "twin") == files


def test_the_export_names_its_columns(trained: Trained, tmp_path: Path) -> None:
    package = build_package(
        trained.folder, tmp_path / "package", line=trained.line, schema=trained.schema, example=trained.example
    )
    signature = json.loads((package / "export.json").read_text())["signature"]
    named = {part: [column["name"] for column in signature[part]] for part in ("inputs", "outputs")}
    outputs = ["score", "threshold", "verdict", "uncertainty", "p_value", "severity"]
    if trained.schema is None:
        assert named == {"inputs": ["image"], "outputs": outputs}
    else:
        assert named == {"inputs": ["Druck", "count", "kind", "time", "batch"], "outputs": [*outputs, "start", "end"]}


def test_what_the_shipped_code_imports_is_required_and_pinned() -> None:
    sources = [path for name in SHIPPED for path in (ROOT / "components" / name).rglob("*.py")]
    imported: set[str] = set()
    for path in [*sources, ROOT / "components" / "register" / "scorer.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").partition(".")[0])
    assert "components" not in imported
    assert imported - set(sys.stdlib_module_names) <= set(REQUIREMENTS)
    lock = set((ROOT / "requirements.lock").read_text().splitlines())
    assert set(requirements()) <= lock


@pytest.mark.parametrize("modality", list(Modality))
def test_a_schema_belongs_to_tables_and_a_detector_to_every_package(modality: Modality, tmp_path: Path) -> None:
    line = LineConfig(name="press", modality=modality, source="x")
    right, wrong = (None, TableSchema(features=())) if modality is Modality.IMAGE else (TableSchema(features=()), None)
    with pytest.raises(ModelError, match="modality"):
        build_package(tmp_path, tmp_path / "package", line=line, schema=wrong, example=pd.DataFrame())
    with pytest.raises(ModelError, match="no saved detector"):
        build_package(tmp_path / "none", tmp_path / "package", line=line, schema=right, example=pd.DataFrame())
    assert not (tmp_path / "package").exists()
