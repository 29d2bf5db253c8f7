"""What a drift check says of new samples that it does not read."""

import pandas as pd

from components.core.contracts import Label, ManifestColumn, Split
from flows.jobs.drift import _unread


def _manifest(*rows: tuple[int, Split, Label]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[ManifestColumn.ADDED_IN, ManifestColumn.SPLIT, ManifestColumn.LABEL])


def test_what_came_since_and_is_sealed_or_anomalous_is_counted():
    old = [(1, Split.TEST, Label.NORMAL), (1, Split.TRAIN, Label.ANOMALOUS)]
    read = (2, Split.CALIBRATION, Label.NORMAL)
    sealed = [(2, Split.TEST, Label.NORMAL)] * 3 + [(3, Split.TEST, Label.ANOMALOUS)]
    labelled = (2, Split.VALIDATION, Label.ANOMALOUS)
    assert _unread(_manifest(*old, read), 1) == ""
    assert (
        _unread(_manifest(*old, read, *sealed), 1) == "Not read of the 5 that came since: 4 in the sealed test split."
    )
    told = _unread(_manifest(*old, *sealed, labelled), 1)
    assert told == "Not read of the 5 that came since: 4 in the sealed test split and 1 labelled anomalous."
