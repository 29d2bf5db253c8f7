"""Manifest rows with one fixed set of columns and types, so that equal manifests are equal bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..core.contracts import ManifestColumn as Col

COLUMNS = (
    Col.SAMPLE, Col.FILE, Col.PATH, Col.LABEL, Col.LABEL_SOURCE, Col.DEFECT, Col.MASK, Col.GROUP, Col.SPLIT, Col.SEALED,
    Col.START, Col.END, Col.FINGERPRINT, Col.ADDED_IN,
)  # fmt: skip
_DEFAULTS: dict[str, Any] = {
    Col.LABEL_SOURCE: "assumed", Col.DEFECT: "", Col.MASK: "", Col.GROUP: "", Col.SPLIT: "", Col.SEALED: False,
    Col.START: 0, Col.END: 0, Col.FINGERPRINT: b"", Col.ADDED_IN: 0,
}  # fmt: skip
_TYPES: dict[str, Any] = {Col.SEALED: bool, Col.START: "int64", Col.END: "int64", Col.ADDED_IN: "int64"}


def manifest_rows(values: Mapping[str, Sequence[Any]] | pd.DataFrame) -> pd.DataFrame:
    """All manifest columns in their order and types; those not given hold their defaults ("" for names)."""
    frame = pd.DataFrame({name: pd.Series(values[name], dtype=object) for name in COLUMNS if name in values})
    for name in COLUMNS:
        if name not in frame:
            frame[name] = pd.Series([_DEFAULTS.get(name, "")] * len(frame), index=frame.index, dtype=object)
    return frame[list(COLUMNS)].astype(_TYPES).reset_index(drop=True)
