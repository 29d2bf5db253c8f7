"""Scores raw input with a saved detector; travels with every model as part of the package `linewright_scorer`.

Knows neither MLflow nor this application: a copy of it runs wherever the exported model is loaded.
"""
# ruff: noqa: TID252 - shipped with exported models under another name, so imports must be relative

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.contracts import Calibration, TableSchema
from ..core.errors import ModelError
from ..core.lines import ImageOptions
from ..core.ports import Batch, Detector
from ..core.scoring import BATCH, join
from ..metrics.verdicts import answers
from ..models.registry import load
from ..samples.images import decode_image
from ..samples.tables import cut, readings, window_starts


class Scorer:
    """A detector and how its line's raw input is read.

    Args:
        detector: Folder that the detector's `save` wrote.
        export: The `export.json` of the model folder.

    Raises:
        ModelError: The detector cannot be loaded, or has no threshold.
    """

    def __init__(self, detector: Path, *, export: Path) -> None:
        self._detector: Detector = load(detector)
        if self._detector.calibration is None:
            raise ModelError(
                f"The detector in {detector} has no threshold.", hint="Calibrate it before it is exported."
            )
        self._calibration: Calibration = self._detector.calibration
        described = json.loads(export.read_text(encoding="utf-8"))["input"]
        self._image = ImageOptions.model_validate(described["image"])
        self._group = str(described["group"])
        self._schema = None if described["schema"] is None else TableSchema.model_validate(described["schema"])

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Verdicts on raw input; higher scores are more anomalous.

        Args:
            frame: For images, column `image` with the bytes of one encoded file a row; for tables, the raw columns
                of one file, its rows in order.

        Returns:
            One row a sample: `score`, `threshold`, `verdict` (OK, NG or unsure), `uncertainty`, `p_value`, `severity`
            (see `core.contracts.Verdict`), and for tables `start` and `end`, the sample's rows, end excluded.
        """
        if self._schema is None:
            bounds, batches = None, self._images(frame)
        else:
            bounds, batches = self._windows(frame, self._schema)
        scores = join([self._detector.score(batch) for batch in batches])
        said = answers(scores.image, self._calibration, uncertainty=scores.uncertainty)
        found = pd.DataFrame(
            {
                "score": scores.image,
                "threshold": self._calibration.threshold,
                "verdict": [answer.word for answer in said],
                "uncertainty": np.array([answer.uncertainty for answer in said], dtype=np.float64),
                "p_value": np.array([answer.p_value for answer in said], dtype=np.float64),  # NaN where unknown
                "severity": [answer.severity or "" for answer in said],
            }
        )
        return found if bounds is None else found.assign(start=bounds[:, 0], end=bounds[:, 1])

    def _images(self, frame: pd.DataFrame) -> Iterator[Batch]:
        size = BATCH["image"]
        for start in range(0, len(frame), size):
            yield [decode_image(data, self._image) for data in frame["image"].iloc[start : start + size]]

    def _windows(self, frame: pd.DataFrame, schema: TableSchema) -> tuple[NDArray[np.int64], Iterator[Batch]]:
        values = readings(frame, schema)
        bounds = window_starts(frame, schema, group=self._group)
        size = BATCH["table"]
        parts = (bounds[start : start + size] for start in range(0, len(bounds), size))
        return bounds, (cut(values, part, window=schema.window) for part in parts)
