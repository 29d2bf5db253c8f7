"""Scores and verdicts of an export, by the runner that goes with it, on stored files as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Calibration, ManifestColumn, Modality, Scores, Word
from components.core.errors import ModelError
from components.core.network import SPREAD
from components.core.ports import Progress, silent
from components.export.runner import detector, images, tables
from components.metrics.verdicts import verdict_of
from components.samples.tables import read_table

WINDOWS_AT_ONCE = 4096


def score_export(
    folder: Path, rows: pd.DataFrame, *, read: Callable[[str], bytes], progress: Progress = silent
) -> Scores:
    """Scores of the samples that N manifest rows name.

    Args:
        folder: An export's.
        rows: Of a manifest.
        read: SHA-256 of a stored file → its bytes.
        progress: Told of every sample.

    Raises:
        ModelError: The runner cannot read a stored file.
    """
    spec, network = detector.opened(folder)
    scores, spreads = np.empty(len(rows)), np.zeros(len(rows))
    inputs = _images if spec["modality"] == Modality.IMAGE else _windows
    done = 0
    with _readable():
        for places, values in inputs(rows, read, spec):
            found = network(values)
            scores[places] = found["score"]
            if SPREAD in found:
                spreads[places] = found[SPREAD]
            done += len(places)
            progress("scoring by the export", done, len(rows))
    return Scores(image=scores, uncertainty=spreads if SPREAD in spec["outputs"] else None)


def network_inputs(
    rows: pd.DataFrame, *, read: Callable[[str], bytes], preparation: dict[str, Any]
) -> list[dict[str, NDArray[np.uint8]]]:
    """The images that manifest rows name, as the network takes them: by the names of its inputs.

    Raises:
        ModelError: The runner cannot read a stored file.
    """
    with _readable():
        return [values for _, values in _images(rows, read, {"preparation": preparation})]


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The export's runner cannot read a file of this line: {error}.",
            hint="It takes images of 8 bits or 16-bit grey, all of one aspect unless the model was fitted with "
            "resize: stretch, and CSV files with times that are numbers or ISO 8601.",
        ) from error


def words_of(scores: Scores, calibration: Calibration) -> list[Word]:
    """The model's own verdicts."""
    return [verdict_of(score, calibration, uncertainty=spread) for score, spread in _pairs(scores)]


def words_by_runner(scores: Scores, calibration: Calibration) -> list[Word]:
    """The export's verdicts, by the rule in its runner."""
    rule = calibration.model_dump(mode="json")
    return [cast(Word, detector.verdict(score, spread, rule)) for score, spread in _pairs(scores)]


def _pairs(scores: Scores) -> Iterator[tuple[float, float]]:
    spreads = np.zeros(len(scores)) if scores.uncertainty is None else scores.uncertainty
    return zip(scores.image.tolist(), spreads.tolist(), strict=True)


def _images(
    rows: pd.DataFrame, read: Callable[[str], bytes], spec: dict[str, Any]
) -> Iterator[tuple[NDArray[np.intp], Any]]:
    for place, file in enumerate(rows[ManifestColumn.FILE]):
        yield np.array([place]), images.pixels(read(str(file)), spec)


def _windows(
    rows: pd.DataFrame, read: Callable[[str], bytes], spec: dict[str, Any]
) -> Iterator[tuple[NDArray[np.intp], Any]]:
    bounds = rows[[ManifestColumn.START, ManifestColumn.END]].to_numpy(np.int64)
    window = spec["preparation"]["window"]
    for file, places in rows.groupby(ManifestColumn.FILE, sort=False).indices.items():
        table = tables.table_of(_csv(read(str(file))), spec)
        # The windows are the manifest's; where the runner could not find its own, it would score no file of the line.
        next(tables.window_bounds(table, spec))
        for some in np.array_split(places, range(WINDOWS_AT_ONCE, len(places), WINDOWS_AT_ONCE)):
            cut = np.stack([tables.cut(table.values, *bounds[place], window=window) for place in some])
            yield some, tables.prepared(cut, spec)


def _csv(data: bytes) -> bytes:
    """A stored file as the runner takes it: Parquet, which it does not read, as CSV."""
    return read_table(data).to_csv(index=False).encode() if data.startswith(b"PAR1") else data
