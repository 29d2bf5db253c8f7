"""A detector made in bf16 where bf16 is not computed in."""

import logging

import numpy as np
import pytest

from components.core.contracts import Scores
from components.core.errors import UnavailableError
from components.metrics.thresholds import calibrate
from components.models import inference, precision, registry
from components.models.precision import Proof, compared, usable_precision
from components.train.precision import prove_precision

CLEAN = Proof(samples=9, flips=0, changed=1)


@pytest.fixture
def old_host(monkeypatch):
    monkeypatch.setattr(precision, "unsupported", lambda wanted: "" if wanted == "f32" else "No bf16 here.")


def test_words_are_compared_and_unsure_is_no_flip():
    limits = calibrate(np.linspace(0, 1, 99), rate=0.1, method="split", seed=0)
    at = limits.threshold
    ours, theirs = np.array([0.0, at, at, 9.0]), np.array([9.0, at, 9.0, 9.0])
    assert compared(Scores(image=ours), Scores(image=theirs), limits) == Proof(samples=4, flips=1, changed=2)


def test_f32_stands_in_only_where_it_was_tried_and_flipped_nothing(old_host, caplog):
    assert usable_precision("f32", proof=None, noun="bank") == "f32"
    with caplog.at_level(logging.WARNING):
        assert usable_precision("bf16", proof=CLEAN, noun="bank") == "f32"
    assert "scores in f32 here; of 9 samples near the threshold no verdict flipped" in caplog.text
    for proof, said in ((None, "was not tried"), (Proof(samples=9, flips=2, changed=2), "flips 2 of 9 verdicts")):
        with pytest.raises(UnavailableError, match=said):
            usable_precision("bf16", proof=proof, noun="bank")


@pytest.mark.skipif(bool(inference.lacks("bf16")), reason="this processor does not compute in bf16")
def test_a_bf16_bank_is_proved_saved_and_loaded_on_a_host_without(cases, listed, tmp_path, monkeypatch):
    case = cases["memory-bank"]
    detector = case.make(precision="bf16")
    detector.fit(listed(case.normal), seed=0)
    scores = detector.score(case.fresh).image
    detector.save(tmp_path / "untried")
    detector.calibration = calibrate(scores, rate=None, method="split", seed=0)
    samples = listed(case.fresh)
    prove_precision(detector, samples=samples, scores=dict(zip(samples.ids, scores.tolist(), strict=True)))
    assert detector._proof.samples == len(case.fresh)
    assert detector._proof.flips == 0
    detector.save(tmp_path / "model")
    assert np.array_equal(registry.load(tmp_path / "model").score(case.fresh).image, scores)
    monkeypatch.setattr(precision, "unsupported", lambda wanted: "" if wanted == "f32" else "No bf16 here.")
    with pytest.raises(UnavailableError, match="was not tried"):
        registry.load(tmp_path / "untried")
    loaded = registry.load(tmp_path / "model")
    in_f32 = loaded.score(case.fresh).image
    assert 0 < np.abs(in_f32 - scores).max() < 0.05 * scores.max()
    assert loaded.params["precision"] == "bf16"
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / "detector.json").read_bytes() == (tmp_path / "model" / "detector.json").read_bytes()
