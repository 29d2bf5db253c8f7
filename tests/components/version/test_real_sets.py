"""Ingest and splits of the real sets beside the project, with no declared options."""

import os
from pathlib import Path

import pandas as pd
import pytest

from components.adapters.objects import open_store
from components.core.lines import LineConfig
from components.ingest.collect import Collected, collect
from components.settings import ObjectSettings
from components.version.splits import assign_splits

DATA = Path(os.environ.get("LINEWRIGHT_REAL_DATA") or Path(__file__).parents[3].parent / "shared" / "data")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}; set LINEWRIGHT_REAL_DATA"),
]


def ingest(modality: str, path: str, staging: Path) -> tuple[Collected, pd.DataFrame]:
    line = LineConfig.model_validate({"name": "real", "modality": modality, "source": str(DATA / path)})
    found = collect(line, store=open_store(line.source, ObjectSettings()), manifest=None, staging=staging, workers=4)
    manifest, refused = assign_splits(found.rows, previous=None, line=line, schema=found.schema)
    assert not refused
    return found, manifest


def counts(manifest: pd.DataFrame) -> dict[tuple[str, str], int]:
    return manifest.groupby(["split", "label"]).size().to_dict()


@pytest.mark.parametrize(("name", "good", "bad", "masks"), [("bottle", 20, 63, 8), ("cookie", 14, 40, 32)])
def test_image_sets(tmp_path: Path, name: str, good: int, bad: int, masks: int) -> None:
    found, manifest = ingest("image", f"images/{name}", tmp_path)
    assert not found.quarantined
    held = counts(manifest)
    assert (held["test", "normal"], held["test", "anomalous"]) == (good, bad)
    assert (manifest["mask"] != "").sum() == masks
    assert min(held["calibration", "normal"], held["validation", "normal"]) >= 3
    assert manifest["group"].nunique() == 1  # no two photographs of these sets are taken for copies


def test_skab(tmp_path: Path) -> None:
    found, manifest = ingest("table", "tabular/skab", tmp_path)
    schema = found.schema
    assert schema is not None
    assert (schema.label, schema.timestamp, schema.delimiter, len(schema.features)) == ("anomaly", "datetime", ";", 8)
    assert "changepoint" in schema.ignored
    assert found.skipped == 2
    assert ("calibration", "anomalous") not in counts(manifest)


def test_ai4i(tmp_path: Path) -> None:
    found, manifest = ingest("table", "tabular/ai4i2020.csv", tmp_path)
    schema = found.schema
    assert schema is not None
    # Its temperatures walk from row to row: a row at each border of two splits goes.
    assert (schema.label, schema.block_rows) == ("Machine failure", 50)
    assert 9_800 < len(manifest) < 10_000
    assert {"UID", "Product ID", "TWF", "HDF", "PWF", "OSF"} < set(schema.ignored)
    assert {column.name: column.kind for column in schema.features}["Type"] == "categorical"
