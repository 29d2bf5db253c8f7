"""What the gate's `no_leak` counts."""

import pytest

from components.core.contracts import DatasetVersion, Modality, now
from components.core.lines import LineConfig
from components.samples.manifest import manifest_rows
from flows.data import LineData
from flows.jobs.modelling import count_leaks


@pytest.mark.parametrize(
    ("splits", "leaks"),
    [
        (["train", "train", "test", "calibration"], 0),
        (["train", "test", "test", "train"], 1),
        (["train", "calibration", "test", "train"], 1),
        (["validation", "calibration", "test", "train"], 1),
    ],
)
def test_a_group_in_two_splits_is_a_leak_whichever_these_are(splits, leaks):
    names = [f"{number:064x}" for number in range(4)]
    rows = {"sample": names, "file": names, "path": names, "label": ["normal"] * 4}
    manifest = manifest_rows({**rows, "split": splits, "group": ["batch1", "batch1", "", ""]})
    version = DatasetVersion(
        line="press", number=1, modality=Modality.IMAGE, revision="", counts={}, created=now(), manifest_sha256="0" * 64
    )
    line = LineConfig.model_validate({"name": "press", "modality": "image", "source": "/data"})
    assert count_leaks(LineData(line=line, version=version, manifest=manifest, read=lambda _: b"")) == leaks
