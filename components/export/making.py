"""An export from beginning to end: written, scored by its own runner, calibrated anew where need be, and compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Calibration, ManifestColumn, Scores, Split
from components.core.errors import ModelError, NotEnoughDataError
from components.core.network import WholeNetwork
from components.core.ports import Detector, Progress, Samples, silent
from components.core.scoring import score_all
from components.core.seeds import derive_seed
from components.export import folder as folders
from components.export.folder import Subject
from components.export.formats import Format, write_network
from components.export.gate import Figures, Limits, compare
from components.export.quantize import INPUTS
from components.export.scoring import network_inputs, score_export, words_by_runner, words_of
from components.metrics.thresholds import calibrate


@dataclass(frozen=True, kw_only=True)
class Material:
    """What an export is measured on.

    Attributes:
        rows: Manifest rows of N samples: all of calibration and test, and those that the threshold came from.
        samples: The same N, as the detector reads them.
        training: Manifest rows of normal training samples; ranges of 8 bits come from some of them.
        held_out: Sample → score by a model that did not see it, which the threshold came from.
        left_out: Scores of training samples, each left out in turn, if the threshold came from these, too.
        read: SHA-256 of a stored file → its bytes.
    """

    rows: pd.DataFrame
    samples: Samples
    training: pd.DataFrame
    held_out: Mapping[str, float]
    left_out: NDArray[np.float64] | None
    read: Callable[[str], bytes]

    @property
    def compared(self) -> NDArray[np.bool_]:
        """``(N,)`` which of the rows the gate compares on."""
        splits = (str(Split.CALIBRATION), str(Split.TEST))
        return np.asarray(self.rows[ManifestColumn.SPLIT].isin(splits).to_numpy(), dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class Made:
    """An export in its folder: the digest of its description, the gate's figures, and its threshold."""

    digest: str
    figures: Figures
    calibration: Calibration


def make_export(
    folder: Path,
    subject: Subject,
    *,
    detector: Detector,
    network: WholeNetwork,
    material: Material,
    name: str,
    chosen: Format,
    limits: Limits,
    seed: int,
    progress: Progress = silent,
) -> Made:
    """Write the export into the empty `folder`, and compare it with `detector`, whose threshold it takes.

    In 8 bits scores are others, so the threshold is calibrated anew: each held-out score moves by what 8 bits changed
    of the same sample's score.

    Raises:
        ModelError: The detector has no threshold or nothing to compute in 8 bits, or files are not for the runner.
        NotEnoughDataError: There is no calibration or test sample, or they do not support the false-alarm rate.
    """
    calibration = detector.calibration
    if calibration is None:
        raise ModelError(f"This {detector.name} has no threshold.", hint="Retrain the line.")
    if not material.compared.any():
        raise NotEnoughDataError(
            "There is no calibration or test sample to compare the export on.", hint="Ingest more samples, and retrain."
        )
    description = _written(folder, subject, network, material, calibration, name=name, chosen=chosen)
    before = score_all(detector, material.samples, progress=progress)
    after = score_export(folder, material.rows, read=material.read, progress=progress)
    if chosen.integers:
        calibration = _recalibrated(calibration, material, before, after, seed=seed)
    kept = np.flatnonzero(material.compared)
    before, after = (_taken(scores, kept) for scores in (before, after))
    assert detector.calibration is not None
    figures = compare(
        before.image,
        after.image,
        words_before=words_of(before, detector.calibration),
        words_after=words_by_runner(after, calibration),
    )
    judged = folders.judged(description, calibration=calibration, figures=figures, limits=limits)
    return Made(digest=folders.write_description(folder, judged), figures=figures, calibration=calibration)


def _written(
    folder: Path,
    subject: Subject,
    network: WholeNetwork,
    material: Material,
    calibration: Calibration,
    *,
    name: str,
    chosen: Format,
) -> dict[str, object]:
    """The files, and what `linewright.json` says of them so far."""
    preparation = folders.preparation_of(subject, network)
    some = material.training.iloc[np.unique(np.linspace(0, len(material.training) - 1, INPUTS).astype(np.intp))]
    inputs = (
        network_inputs(some, read=material.read, preparation=preparation)
        if chosen.integers and subject.schema is None
        else []
    )
    write_network(network, folder, chosen=chosen, inputs=inputs)
    folders.write_runner(folder, subject, name=name, chosen=chosen)
    description = folders.describe(
        folder,
        subject,
        name=name,
        chosen=chosen,
        outputs=network.outputs,
        preparation=preparation,
        calibration=calibration,
    )
    folders.write_description(folder, description)
    return description


def _recalibrated(
    calibration: Calibration, material: Material, before: Scores, after: Scores, *, seed: int
) -> Calibration:
    names = material.rows[ManifestColumn.SAMPLE].astype(str)
    held_out = names.map(material.held_out).to_numpy(dtype=np.float64)
    moved = (held_out + after.image - before.image)[~np.isnan(held_out)]
    try:
        return calibrate(
            moved,
            rate=calibration.false_alarm_rate,
            method=calibration.method,
            seed=derive_seed(seed, "calibration"),
            left_out=material.left_out,  # matched to the moved ones by median and spread, as to those before
            costs=calibration.costs,
        )
    except NotEnoughDataError as error:
        raise NotEnoughDataError(
            f"In 8 bits the threshold would have to be calibrated anew. {error.message}",
            hint="Use --format openvino, or retrain.",
        ) from error


def _taken(scores: Scores, kept: NDArray[np.intp]) -> Scores:
    spreads = None if scores.uncertainty is None else scores.uncertainty[kept]
    return Scores(image=scores.image[kept], uncertainty=spreads)
