"""Exports score what the detector scores, in another process and without our packages."""

import ast
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.contracts import Calibration, Scores
from components.core.errors import ConfigError, ModelError, NotEnoughDataError, UnavailableError
from components.core.hashing import folder_hashes, sha256_file
from components.core.scoring import score_all
from components.core.seeds import derive_seed
from components.export.folder import DESCRIPTION
from components.export.formats import FORMATS, find_format, write_network
from components.export.making import _recalibrated
from components.export.quantize import quantized
from components.metrics.thresholds import calibrate
from components.metrics.verdicts import NINETY_FIVE, answers, severity_of
from components.models.onnx_graph import OnnxGraph
from components.samples.images import decode_image
from components.samples.tables import cut, read_table, readings, window_starts

ALL = [("image", name) for name in FORMATS] + [("table", "onnx"), ("table", "openvino")]


def run(folder: Path, *files: Path, cwd: Path) -> subprocess.CompletedProcess:
    """The runner in a process that can import nothing of ours."""
    command = [sys.executable, "-I", str(folder / "run.py"), *map(str, files)]
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def native(case) -> tuple[list, Scores]:
    """Places and scores of the samples in the case's files, by the detector itself."""
    if case.schema is None:
        images = [decode_image(path.read_bytes(), case.line.image) for path in case.files]
        return [{}] * len(images), case.detector.score(images)
    frame = read_table(case.files[0].read_bytes())
    bounds = window_starts(frame, case.schema)
    scores = case.detector.score(cut(readings(frame, case.schema), bounds, window=case.schema.window))
    return [{"start": low, "end": high} for low, high in bounds.tolist()], scores


def spread_of(half: float, calibration: Calibration) -> float:
    """The standard deviation of a score whose stated uncertainty is `half`."""
    return np.sqrt(max(half**2 - ((calibration.high - calibration.low) / 2) ** 2, 0)) / NINETY_FIVE


@pytest.mark.parametrize(("modality", "name"), ALL)
def test_the_runner_says_what_the_model_says(modality, name, exports, image_case, table_case, tmp_path):
    case = image_case if modality == "image" else table_case
    folder, made = exports[modality, name]
    done = run(folder, *case.files, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    places, scores = native(case)
    found = np.array([one["score"] for one in said])
    expected = answers(scores.image, made.calibration, uncertainty=scores.uncertainty)
    halves = [one["uncertainty"] for one in said]
    if name == "openvino-int8":
        assert found == pytest.approx(scores.image, rel=0.5)
        own = np.array([spread_of(half, made.calibration) for half in halves])
        expected = answers(found, made.calibration, uncertainty=own)
    else:
        assert found == pytest.approx(scores.image, rel=1e-5)
        assert halves == pytest.approx([answer.uncertainty for answer in expected], rel=1e-3)
    assert [one["verdict"] for one in said] == [answer.word for answer in expected]
    # By its own scores: one that equals the threshold but for the last digits is "low" here and "none" there.
    assert [one["severity"] for one in said] == [severity_of(score, made.calibration) for score in found]
    assert all(isinstance(one["p_value"], float) for one in said)
    assert {one["threshold"] for one in said} == {made.calibration.threshold}
    assert [{key: one[key] for key in ("start", "end") if key in one} for one in said] == places


@pytest.mark.parametrize(("modality", "name"), ALL)
def test_the_gate_finds_them_equal(modality, name, exports, image_case, table_case):
    case = image_case if modality == "image" else table_case
    folder, made = exports[modality, name]
    figures = made.figures
    assert figures.samples == len(case.material.rows)
    assert (figures.flips, figures.not_finite) == (0, 0)
    if name != "openvino-int8":
        assert figures.changed == 0
        assert figures.pearson > 0.999999
        assert figures.largest_difference < 1e-4  # deviations of the scores
        assert made.calibration == case.detector.calibration
    described = json.loads((folder / DESCRIPTION).read_text())
    assert described["gate"]["flips"] == 0
    assert described["calibration"]["threshold"] == made.calibration.threshold
    assert described["files"] == {path: sha for path, sha in folder_hashes(folder).items() if path != DESCRIPTION}
    assert sha256_file(folder / DESCRIPTION) == made.digest


def two_networks() -> OnnxGraph:
    """Two convolutions of an image at two sizes, and the sum of their highest values."""
    graph = OnnxGraph()
    graph.head()
    highest = []
    for side in (8, 16):
        part = OnnxGraph(height=side, width=side, canvas=(side, side))
        seen = part.image(mean=[0.5] * 3, deviation=[0.5] * 3)
        kernel = np.random.default_rng(side).normal(size=(4, 3, 3, 3)).astype(np.float32)
        found = part.relu6(part.convolution(seen, kernel, stride=1))
        part.head()
        part.output("score", part.reduced("Max", found, axes=(0, 1, 2, 3)))
        highest.append(graph.holding(part.serialized(), under=f"n{side}/")["score"])
    graph.output("score", graph.add(*highest))
    return graph


def test_a_network_of_two_inputs_computes_both_backbones_in_eight_bits():
    from openvino import Core

    model = Core().read_model(two_networks().serialized())
    rng = np.random.default_rng(0)
    images = [
        {f"n{side}/image": rng.integers(0, 256, (1, side, side, 3), np.uint8) for side in (8, 16)} for _ in range(8)
    ]
    expected = Core().compile_model(model, "CPU")(images[0])["score"]
    found = quantized(model, inputs=images)
    kinds = [op.get_type_name() for op in found.get_ops()]
    assert kinds.count("Convolution") == 2
    assert kinds.count("FakeQuantize") >= 2
    assert Core().compile_model(found, "CPU")(images[0])["score"] == pytest.approx(expected, rel=0.1)


def test_an_ensemble_takes_each_image_at_the_sizes_of_its_members(ensemble_case):
    folder, made = ensemble_case.export("openvino")  # whose gate scores by the runner
    described = json.loads((folder / DESCRIPTION).read_text())
    assert described["preparation"]["sizes"] == {"memory-bank/image": [64, 64], "dino-memory/image": [112, 112]}
    assert made.figures.flips == 0
    assert made.figures.pearson > 0.999999  # scores lie around 0, so that a relative difference says nothing


def test_eight_bits_get_a_threshold_of_their_own_scores(exports, image_case):
    folder, made = exports["image", "openvino-int8"]
    before = image_case.detector.calibration
    assert made.calibration.threshold != before.threshold
    assert made.calibration.threshold == pytest.approx(before.threshold, rel=0.2)
    assert (made.calibration.samples, made.calibration.false_alarm_rate) == (before.samples, before.false_alarm_rate)
    assert (folder / "model.bin").stat().st_size < (exports["image", "openvino"][0] / "model.bin").stat().st_size / 2


def test_held_out_scores_move_by_what_eight_bits_changed(image_case):
    """Scores of folds' models, each 1 above the final model's; 8 bits add 0.25: so does the threshold."""
    material, calibration = image_case.material, image_case.detector.calibration
    before = score_all(image_case.detector, material.samples).image
    apart = replace(material, held_out={name: score + 1 for name, score in material.held_out.items()})
    moved = _recalibrated(calibration, apart, Scores(image=before), Scores(image=before + 0.25), seed=0)
    assert moved.threshold == pytest.approx(calibration.threshold + 1.25)
    assert moved.samples == calibration.samples
    rare = calibration.model_copy(update={"false_alarm_rate": 1e-4})
    with pytest.raises(NotEnoughDataError, match=r"calibrated anew\. A false-alarm rate of 0\.0001 needs 9999"):
        _recalibrated(rare, apart, Scores(image=before), Scores(image=before), seed=0)


def test_a_tail_that_left_out_samples_joined_is_fitted_again(table_case):
    rng = np.random.default_rng(0)
    names = table_case.material.rows["sample"].astype(str)
    held_out = dict(zip(names[:50], rng.normal(0, 1, 50).tolist(), strict=True))
    left_out = rng.normal(5, 0.1, 300)
    given = {"rate": 1 / 200, "method": "split", "seed": derive_seed(0, "calibration"), "left_out": left_out}
    calibration = calibrate(np.array(list(held_out.values())), **given)
    assert calibration.tail.source == "left out"
    material = replace(table_case.material, held_out=held_out, left_out=left_out)
    before, after = (Scores(image=np.full(len(names), value)) for value in (0.0, 0.25))
    moved = _recalibrated(calibration, material, before, after, seed=0)
    assert moved.threshold == pytest.approx(calibration.threshold + 0.25)
    with pytest.raises(NotEnoughDataError, match=r"calibrated anew\."):
        _recalibrated(calibration, replace(material, left_out=None), before, after, seed=0)


def copied(source: Path, folder: Path) -> Path:
    """The same files in another folder."""
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    "file", ["model.onnx", "run.py", "detector.py", "reading.py", "requirements.txt", "README.txt"]
)
def test_a_changed_file_is_refused(file, exports, image_case, tmp_path):
    folder = copied(exports["image", "onnx"][0], tmp_path / "copy")
    with (folder / file).open("ab") as stream:
        stream.write(b"\n")
    done = run(folder, image_case.files[0], cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{folder / file} is not the file that was exported" in done.stderr


@pytest.mark.parametrize(
    ("section", "key"), [("calibration", "threshold"), ("severity", "high"), ("files", "README.txt")]
)
def test_a_changed_description_is_refused(section, key, exports, image_case, tmp_path):
    folder = copied(exports["image", "onnx"][0], tmp_path / "copy")
    described = json.loads((folder / DESCRIPTION).read_text())
    described[section][key] = described[section][key] * 2
    (folder / DESCRIPTION).write_text(json.dumps(described))
    done = run(folder, image_case.files[0], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{folder / DESCRIPTION} is not the file that was exported; export it again.\n"


@pytest.mark.parametrize("lost", ["model.onnx", DESCRIPTION])
def test_a_lost_or_cut_file_is_one_clear_line(lost, exports, image_case, tmp_path):
    for number, left in enumerate([None, b"", b"[]", b"{}"] if lost == DESCRIPTION else [None]):
        folder = copied(exports["image", "onnx"][0], tmp_path / str(number))
        (folder / lost).unlink() if left is None else (folder / lost).write_bytes(left)
        done = run(folder, image_case.files[0], cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"{folder} does not hold what was exported (")
        assert len(done.stderr.splitlines()) == 1


def test_a_file_that_cannot_be_read_is_named_and_the_others_scored(exports, image_case, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    done = run(exports["image", "onnx"][0], broken, image_case.files[0], cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.startswith(f"{broken}: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_answers_that_cannot_be_written_are_no_fault_of_a_file(exports, table_case, tmp_path):
    command = [sys.executable, "-I", str(exports["table", "onnx"][0] / "run.py"), *map(str, table_case.files * 2)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "The answers cannot be written: [Errno 28] No space left on device\n"


def test_a_network_that_cannot_be_written_is_one_clear_line(table_case, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"model\.xml cannot be written: .*"):
        write_network(table_case.detector.as_network(), tmp_path / "file", chosen=FORMATS["openvino"], inputs=[])


def test_nothing_is_quantized_without_a_backbone(table_case, tmp_path):
    with pytest.raises(ModelError, match="no backbone"):
        table_case.export("openvino-int8", tmp_path / "x")


def test_an_export_needs_samples_to_be_compared_on(image_case, tmp_path):
    training = image_case.material.rows.assign(split="train")
    with pytest.raises(NotEnoughDataError, match="no calibration or test sample"):
        image_case.export("onnx", tmp_path / "x", material=replace(image_case.material, rows=training))


def test_a_stored_file_that_the_runner_cannot_read_stops_the_export(image_case, tmp_path):
    deep = io.BytesIO()
    Image.fromarray(np.full((64, 64), 70_000, np.int32)).save(deep, "TIFF")
    material = replace(image_case.material, read=lambda _: deep.getvalue())
    with pytest.raises(ModelError, match=r"cannot read a file of this line: pixels of mode I are not read.*8 bits"):
        image_case.export("onnx", tmp_path / "x", material=material)


def test_an_unknown_format_names_the_known():
    with pytest.raises(ConfigError, match=r"no export format 'openvine'\. Did you mean 'openvino'"):
        find_format("openvine")


def test_the_runner_is_short_and_imports_nothing_of_ours(exports):
    for folder, _ in exports.values():
        for name in ("run.py", "detector.py", "reading.py"):
            tree = ast.parse((folder / name).read_text())
            imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not {module for module in imported if module.split(".")[0] in {"components", "flows", "agents"}}
        assert len((folder / "run.py").read_text().splitlines()) <= 40
        assert (folder / "requirements.txt").read_text().startswith("numpy==")
