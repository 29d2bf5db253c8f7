"""What a model's threshold came from, in files beside it: written by `train`, read by drift checks and exports."""

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.train.fitting import Calibrated

_CALIBRATION = "calibration_scores.json"
_LEFT_OUT = "left_out_scores.json"


def write_scores(calibrated: Calibrated, folder: Path) -> None:
    """Keep them in `folder`; those of left-out training samples only where there are any."""
    (folder / _CALIBRATION).write_text(json.dumps(calibrated.scores, sort_keys=True), encoding="utf-8")
    if calibrated.left_out:
        (folder / _LEFT_OUT).write_text(json.dumps(calibrated.left_out), encoding="utf-8")


def copy_scores(source: Path, target: Path) -> None:
    """Keep in `target` what is kept in `source`."""
    shutil.copyfile(source / _CALIBRATION, target / _CALIBRATION)
    if (source / _LEFT_OUT).exists():
        shutil.copyfile(source / _LEFT_OUT, target / _LEFT_OUT)


def calibration_scores(folder: Path) -> dict[str, float]:
    """Sample → score by a model that did not see it: what the threshold comes from, and drift is measured against."""
    found: dict[str, float] = json.loads((folder / _CALIBRATION).read_text(encoding="utf-8"))
    return found


def left_out_scores(folder: Path) -> NDArray[np.float64] | None:
    """Of training samples, each left out in turn, where the threshold comes from these, too."""
    path = folder / _LEFT_OUT
    return np.array(json.loads(path.read_text(encoding="utf-8")), np.float64) if path.exists() else None
