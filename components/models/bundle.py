"""A saved detector: `detector.json` and `weights.safetensors`, nothing else; everything else is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core.contracts import Calibration, Record
from ..core.errors import ModelError

FORMAT = 1
HEADER, WEIGHTS = "detector.json", "weights.safetensors"
_LARGEST_HEADER = 64 << 20


class Header(Record):
    """What `detector.json` says.

    Attributes:
        name: The detector's registered name.
        params: Every parameter.
        state: What else was learned that is not a tensor: scalings, categories, sizes, digests.
        calibration: Threshold, once calibrated.
    """

    format: int
    name: str
    params: dict[str, Any]
    state: dict[str, Any]
    calibration: Calibration | None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A detector as it was read."""

    header: Header
    tensors: dict[str, NDArray[Any]]


def write_bundle(
    directory: Path,
    *,
    name: str,
    params: Mapping[str, Any],
    state: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    calibration: Calibration | None,
) -> None:
    """Write the two files into `directory`, which must be empty or missing."""
    from safetensors.numpy import save_file

    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ModelError(f"{directory} is not empty.", hint="Save into a new folder.")
    header = Header(format=FORMAT, name=name, params=dict(params), state=dict(state), calibration=calibration)
    (directory / HEADER).write_text(header.model_dump_json(indent=1), encoding="utf-8")
    save_file({key: np.asarray(tensor, order="C") for key, tensor in tensors.items()}, directory / WEIGHTS)


def read_header(directory: Path) -> Header:
    """The header in `directory`, after a look at what else lies there.

    Raises:
        ModelError: A file is missing, is a link, or is neither of the two; or the header is not one we read.
    """
    found = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
    if found != [HEADER, WEIGHTS]:
        raise ModelError(
            f"{directory} holds {found or 'nothing'}, not {HEADER} and {WEIGHTS} alone.",
            hint="Only those two are ever loaded; restore the folder.",
        )
    if any((directory / name).is_symlink() for name in found):
        raise ModelError(f"{directory} holds a symbolic link.", hint="Restore the folder.")
    path = directory / HEADER
    if path.stat().st_size > _LARGEST_HEADER:
        raise ModelError(f"{path} has {path.stat().st_size} bytes.", hint="No detector writes one that large.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ModelError(
                f"{path} has format {values['format']!r}, this release reads {FORMAT}.", hint="Use another release."
            )
        return Header.model_validate(values)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise ModelError(f"{path} is no detector's header.", hint="Restore the folder.") from error


def read_bundle(directory: Path) -> Bundle:
    """Header and tensors in `directory`.

    Raises:
        ModelError: As `read_header`, or the tensors are not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    header = read_header(directory)
    try:
        return Bundle(header=header, tensors=load_file(directory / WEIGHTS))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{directory / WEIGHTS} is not safetensors.", hint="Restore the folder.") from error
