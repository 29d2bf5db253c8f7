"""What every registered detector promises (`components.core.ports.Detector`), tried on each of them."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.core.contracts import Calibration, Scores
from components.core.errors import ModelError
from components.core.ports import Batch, Detector
from components.core.scoring import plain_scores
from components.metrics.thresholds import calibrate
from components.metrics.verdicts import verdict_of
from components.models import registry
from components.models.catalogue import DETECTORS

ROOT = Path(__file__).parents[3]
MEMORIES = {"memory-bank", "dino-memory", "reference", "ensemble"}
"""Detectors that can tell how uncertain a score is by resampling what they keep."""

ALIKE = ("supersimplenet", "draem", "dinomaly", "inp-former")
"""Saved and loaded by the code that `stfpm` is, and much larger."""
ONE_A_WAY = [name for name in DETECTORS if name not in ALIKE]


def equal(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def threshold_of(cases, fitted_once) -> Callable[[str], Calibration]:
    """By a detector's name its threshold."""
    return cache(
        lambda name: calibrate(fitted_once(name).score(cases[name].normal).image, rate=None, method="split", seed=0)
    )


@pytest.fixture(scope="module")
def fresh_once(cases, fitted_once) -> Callable[[str], Scores]:
    """By a detector's name its scores of the case's fresh samples."""
    return cache(lambda name: fitted_once(name).score(cases[name].fresh))


@pytest.fixture
def scores(case, fresh_once) -> Scores:
    return fresh_once(case.name)


@pytest.fixture(scope="module")
def whole_once(cases, fitted_once) -> Callable[[str], tuple[Batch, Scores]]:
    """By a detector's name the case's fresh and anomalous samples in one batch, and their scores."""

    def scored(name: str) -> tuple[Batch, Scores]:
        samples = [*cases[name].fresh, *cases[name].anomalous]
        batch = np.stack(samples) if isinstance(cases[name].fresh, np.ndarray) else samples
        return batch, fitted_once(name).score(batch)

    return cache(scored)


def test_every_detector_has_a_case(cases):
    assert set(cases) == set(DETECTORS)


def test_satisfies_the_protocol(case, detector):
    assert isinstance(detector, Detector)
    assert detector.name == case.name
    assert detector.modality is DETECTORS[case.name].modality
    assert dict(detector.params).items() >= case.params.items()


def test_input_is_not_changed(case, detector):
    before = copy.deepcopy(case.fresh)
    detector.score(case.fresh)
    detector.explain(case.fresh)
    assert equal(before, case.fresh)


def test_scores_are_finite_one_a_sample(case, scores):
    assert scores.image.shape == (len(case.fresh),)
    assert scores.image.dtype == np.float64
    assert np.isfinite(scores.image).all()


def test_uncertainty_is_a_deviation_a_sample(case, scores):
    spread = scores.uncertainty
    if spread is None:
        assert case.name not in MEMORIES
        return
    assert spread.shape == (len(case.fresh),)
    assert np.isfinite(spread).all()
    assert (spread >= 0).all()


def test_scores_without_their_uncertainty_are_the_same(case, detector, scores):
    assert np.array_equal(plain_scores(detector, case.fresh), scores.image)


def test_anomalies_score_higher(case, detector, scores):
    assert detector.score(case.anomalous).image.min() > scores.image.max()


@pytest.mark.parametrize("name", ["stfpm", *ALIKE])
def test_the_map_is_hot_where_the_defect_is(cases, fitted_once, name):
    heat = fitted_once(name).explain([cases[name].anomalous[0]])[0]  # 96 x 96, red from 20 to 44
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (np.abs((np.array([row, column]) + 0.5) / len(heat) * 96 - 32) < 24).all()


def test_same_seed_same_scores_and_no_trace_in_samples_or_global_random_state(case, scores):
    import torch

    normal = copy.deepcopy(case.normal)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    again = case.fitted(seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert equal(normal, case.normal)
    torch.manual_seed(6)
    one, other = again.score(case.fresh), scores
    assert np.array_equal(one.image, other.image)
    assert (one.uncertainty is None) == (other.uncertainty is None)
    assert one.uncertainty is None or np.array_equal(one.uncertainty, other.uncertainty)


@pytest.mark.parametrize("size", [1, 3])
def test_batch_size_changes_scores_within_tolerance_and_flips_no_verdict(
    case, detector, threshold_of, whole_once, size
):
    batch, whole = whole_once(case.name)
    parts = np.concatenate([detector.score(batch[i : i + size]).image for i in range(0, len(batch), size)])
    assert np.abs(parts - whole.image).max() <= detector.batch_tolerance * np.abs(whole.image).max()
    threshold = threshold_of(case.name)
    assert [verdict_of(s, threshold) for s in parts] == [verdict_of(s, threshold) for s in whole.image]


def test_order_of_a_batch_does_not_matter(case, detector, scores):
    backwards = detector.score(case.fresh[::-1]).image[::-1]
    assert np.allclose(backwards, scores.image, rtol=detector.batch_tolerance)


@pytest.fixture(scope="module")
def saved(fitted_once, threshold_of, tmp_path_factory) -> Callable[[str], Path]:
    """By a detector's name a folder with it and its calibration; not to be changed."""

    @cache
    def folder(name: str) -> Path:
        detector, made = fitted_once(name), tmp_path_factory.mktemp("saved") / name
        detector.calibration = threshold_of(name)
        detector.save(made)
        detector.calibration = None
        return made

    return folder


def test_round_trip_is_exact_and_needs_the_folder_alone(
    case, detector, scores, saved, threshold_of, tmp_path, monkeypatch
):
    monkeypatch.setenv("LINEWRIGHT_BACKBONE_WEIGHTS", str(tmp_path / "no-such-weights.pth"))
    monkeypatch.setenv("LINEWRIGHT_DINO_WEIGHTS", str(tmp_path / "no-such-weights.onnx"))
    folder = saved(case.name)
    assert sorted(path.name for path in folder.iterdir()) == ["detector.json", "weights.safetensors"]
    loaded = registry.load(folder)
    assert type(loaded) is type(detector)
    assert loaded.calibration == threshold_of(case.name)
    assert loaded.params == detector.params
    ours, theirs = scores, loaded.score(case.fresh)
    assert np.array_equal(ours.image, theirs.image)
    assert (ours.uncertainty is None) == (theirs.uncertainty is None)
    assert ours.uncertainty is None or np.array_equal(ours.uncertainty, theirs.uncertainty)
    assert (ours.maps is None) == (theirs.maps is None)
    assert ours.maps is None or np.array_equal(ours.maps, theirs.maps)
    assert np.array_equal(detector.explain(case.fresh), loaded.explain(case.fresh))
    loaded.save(tmp_path / "again")
    name = "weights.safetensors"
    assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.fixture(scope="module")
def elsewhere(cases, saved, tmp_path_factory) -> dict[str, Any]:
    """What one other process says: of each of `ONE_A_WAY` the score of its first fresh sample, and what it loaded."""
    folder, made = tmp_path_factory.mktemp("samples"), tmp_path_factory.mktemp("made")
    for name in ONE_A_WAY:
        fresh = cases[name].fresh
        np.save(folder / f"{name}.npy", fresh[0] if isinstance(fresh, list) else fresh[:1])
    script = Path(__file__).with_name("elsewhere.py")
    arguments = [sys.executable, str(script), str(folder), str(made), *(str(saved(name)) for name in ONE_A_WAY)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("CI", None)  # where OpenVINO reports nothing
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ONE_A_WAY)
def test_another_process_gives_the_same_scores(name, cases, fitted_once, elsewhere):
    assert elsewhere["scores"][name] == fitted_once(name).score(cases[name].fresh[:1]).image[0]


def test_memories_and_gaussians_never_load_torch_with_its_half_gigabyte(elsewhere):
    assert not elsewhere["torch"]


def test_detectors_tell_nobody_and_fork_nothing(elsewhere):
    assert elsewhere["reached"] == []


def test_networks_for_tables_never_load_torchs_compiler(elsewhere):
    """Its import takes longer than a small table's fit."""
    assert not elsewhere["compiler"]


def test_saving_over_a_model_is_refused(detector, tmp_path):
    (tmp_path / "detector.json").write_text("{}")
    with pytest.raises(ModelError, match="not empty"):
        detector.save(tmp_path)


@pytest.fixture(params=ONE_A_WAY)
def model(request, saved, tmp_path) -> Path:
    """A folder with a detector, which may be damaged."""
    return shutil.copytree(saved(request.param), tmp_path / "model")


def extra_pickle(folder):
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")


def extra_checkpoint(folder):
    (folder / "model.pt").write_bytes(b"PK")


def missing_weights(folder):
    (folder / "weights.safetensors").unlink()


def pickled_weights(folder):
    (folder / "weights.safetensors").write_bytes(b"\x80\x04N.")


def linked_weights(folder):
    (folder / "weights.safetensors").rename(folder.parent / "elsewhere")
    (folder / "weights.safetensors").symlink_to(folder.parent / "elsewhere")


def no_json(folder):
    (folder / "detector.json").write_text("{")


def future_format(folder):
    header = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps({**header, "format": 99}))


def impossible_parameter(folder):
    header = json.loads((folder / "detector.json").read_text())
    header["params"] = dict.fromkeys(header["params"], "x")
    (folder / "detector.json").write_text(json.dumps(header))


def other_state(folder):
    header = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps({**header, "state": {}}))


@pytest.mark.parametrize(
    "damage",
    [
        extra_pickle,
        extra_checkpoint,
        missing_weights,
        pickled_weights,
        linked_weights,
        no_json,
        future_format,
        impossible_parameter,
        other_state,
    ],
)
def test_a_damaged_folder_is_refused(model, damage):
    damage(model)
    with pytest.raises(ModelError):
        registry.load(model)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ModelError):
        registry.load(tmp_path / "nothing")


def test_samples_without_information_are_refused(case, listed):
    for samples in (case.flat, case.normal[:0]):
        with pytest.raises(ModelError):
            case.make().fit(listed(samples), seed=0)


def test_an_unfitted_detector_says_so(case, tmp_path):
    with pytest.raises(ModelError, match="not fitted"):
        case.make().score(case.fresh)
    with pytest.raises(ModelError, match="not fitted"):
        case.make().save(tmp_path / "model")
