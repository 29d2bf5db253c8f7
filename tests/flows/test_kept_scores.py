"""What thresholds came from is found again behind every copy."""

import numpy as np

from components.metrics.thresholds import calibrate
from components.train.fitting import Calibrated
from flows.jobs.kept_scores import calibration_scores, copy_scores, left_out_scores, write_scores


def test_they_are_read_as_they_were_written(tmp_path):
    scores = {f"{number:064x}": number / 3 for number in range(50)}
    calibration = calibrate(np.array(list(scores.values())), rate=None, method="split", seed=0)
    for name, left_out in (("alone", ()), ("joined", (0.1, 1 / 3))):
        model, package = tmp_path / name / "model", tmp_path / name / "package"
        model.mkdir(parents=True)
        package.mkdir()
        write_scores(Calibrated(calibration=calibration, scores=scores, left_out=left_out), model)
        copy_scores(model, package)
        assert calibration_scores(package) == scores
        found = left_out_scores(package)
        assert found is None if not left_out else np.array_equal(found, left_out)
