"""Anomalous images that a labels file puts into train: from the files to what learns from them."""

from types import SimpleNamespace

import pytest

from components.core.contracts import Label, Split
from components.core.scoring import score_all
from components.models.feature_memo import remembering
from components.settings import load_settings
from components.testing import texture_line
from flows.data import LineData
from flows.jobs.ingest import ingest
from flows.jobs.modelling import fit_and_calibrate
from flows.jobs.searching import divided, searched_detectors
from flows.jobs.setup import make_workspace
from flows.wiring import Linewright
from flows.workspace import write_atomically

QUICK = {"image_size": 112, "blocks": "6", "coreset_ratio": 0.1}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    make_workspace(folder / "workspace")
    return Linewright(load_settings(folder / "workspace"))


def brought_in(app, name, *, taught):
    """A line of 16 normal and 9 anomalous images, of which `taught` are given to train."""
    source = app.home.parent / name
    texture_line.write_batch(source, batch=1, seed=0, size=64, train_images=16, test_good=0, test_bad=9)
    anomalies = sorted(path.relative_to(source) for path in (source / "test").rglob("*.png"))
    rows = [f"{path},ng,{'train' if number < taught else ''}" for number, path in enumerate(anomalies)]
    (source / "labels.csv").write_text("\n".join(["path,label,split", *rows, ""]))
    write_atomically(app.line_path(name), f"name: {name}\nmodality: image\nsource: {source}\n")
    ingest(app, name, actor="operator")
    return LineData.open(app, app.line(name))


@pytest.fixture(scope="module")
def taught(app):
    return brought_in(app, "taught", taught=4)


def searched(data):
    return searched_detectors(SimpleNamespace(line=data.line, data=data))


def test_they_are_in_train_and_others_are_not(app, taught):
    counts = {split: len(taught.rows(split, label=Label.ANOMALOUS)) for split in Split}
    assert counts == {Split.TRAIN: 4, Split.CALIBRATION: 0, Split.VALIDATION: 2, Split.TEST: 3}
    assert "reference" in searched(taught)
    plain = brought_in(app, "plain", taught=0)
    assert plain.rows(Split.TRAIN, label=Label.ANOMALOUS).empty
    assert "reference" not in searched(plain)


def test_trials_learn_from_them_and_are_not_scored_on_them(taught):
    parts = divided(taught, seed=0)
    given = set(taught.rows(Split.TRAIN, label=Label.ANOMALOUS)["sample"])
    assert given <= set(parts.training.ids)
    assert not given & set(parts.validation.ids)


def test_reference_learns_from_them_and_others_do_not(taught):
    found = {}
    with remembering(1e9):
        for name in ("reference", "dino-memory"):
            detector, calibrated = fit_and_calibrate(taught, params={"detector": name, **QUICK}, seed=0, rate=None)
            found[name] = score_all(detector, taught.split(Split.TEST, label=Label.ANOMALOUS)).image
            normal = taught.rows(Split.TRAIN, Split.CALIBRATION, label=Label.NORMAL)
            assert set(calibrated.scores) == set(normal["sample"])
            assert detector.facts["images"] == len(normal)
    # What is like a labelled anomaly scores higher, and nothing lower.
    assert (found["reference"] >= found["dino-memory"]).all()
    assert (found["reference"] > found["dino-memory"]).any()
