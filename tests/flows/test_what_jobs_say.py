import re

import numpy as np
import pandas as pd
import pytest

from components.core.contracts import Modality
from components.core.errors import SourceError
from components.core.lines import LineConfig, TableOptions
from flows.jobs.ingest import ingest
from flows.jobs.score import ScoreRun
from flows.jobs.setup import make_workspace
from flows.wiring import Linewright


def test_a_refused_file_is_named_in_one_sentence():
    run = ScoreRun(verdicts=(), refused=("a.csv: It has no rows.", "b.csv: No."), model_version=1, overlays=None)
    with pytest.raises(SourceError, match=re.escape("Not scored: a.csv: It has no rows (and 1 more).")):
        run.raise_if_refused()


def test_windows_left_out_between_splits_are_counted(tmp_path):
    table = pd.DataFrame({"flow": np.random.default_rng(0).normal(size=600)})
    (tmp_path / "source").mkdir()
    table.to_csv(tmp_path / "source" / "a.csv", index=False)
    make_workspace(tmp_path / "home")
    app = Linewright.open(tmp_path / "home")
    options = TableOptions(window=5, stride=1)
    app.add_line(
        LineConfig(name="pump", modality=Modality.TABLE, source=str(tmp_path / "source"), table=options),
    )
    summary = ingest(app, "pump", actor="operator")
    assert summary.purged > 0
    assert summary.added + summary.purged == summary.found == 596
