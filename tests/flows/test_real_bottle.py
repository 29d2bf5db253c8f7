"""Real photographs, from files to verdicts."""

import os
import shutil
from pathlib import Path

import pytest

DATA = Path(os.environ.get("LINEWRIGHT_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
BOTTLE = DATA / "images" / "bottle"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.server,
    pytest.mark.skipif(not BOTTLE.is_dir(), reason=f"the real data are not there: {BOTTLE}"),
]


@pytest.fixture
def source(tmp_path):
    """A third of the photographs and masks, evenly chosen: every step takes as much less time."""
    for path in sorted(path for path in BOTTLE.rglob("*") if path.is_file()):
        target = tmp_path / "bottle" / path.relative_to(BOTTLE)
        target.parent.mkdir(parents=True, exist_ok=True)
        if int(path.stem.partition("_")[0]) % 3 == 0:
            shutil.copy(path, target)
    return tmp_path / "bottle"


def test_bottle_from_files_to_verdicts(linewright, source):
    run = linewright.good
    run("line", "add", "bottle", "--modality", "image", "--source", str(source))
    (ingested,) = run("ingest", "bottle", "--json").json
    assert ingested["version"]["counts"]["test"] == {"normal": 7, "anomalous": 22}
    (retrained,) = run("retrain", "bottle", "--budget", "1", "--json").json
    assert retrained["changed"]
    (shown,) = run("show", "bottle", "1", "--json").json
    assert shown["metrics"]["image_auroc"]["value"] >= 0.99
    assert shown["metrics"]["aupro"]["value"] > 0.9
    assert shown["facts"]["images_read"] > 0
    run("approve", "bottle", "1", "--reason", "it finds them all", "--accept-unmeasured")
    broken = run("score", "bottle", str(source / "test" / "broken_large"), "--json").json
    assert {verdict["verdict"] for verdict in broken} <= {"NG", "unsure"}
    assert all((linewright.home / verdict["overlay"]).is_file() for verdict in broken)
    assert list(linewright.cwd.iterdir()) == []
