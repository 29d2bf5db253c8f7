"""The formats of an export: how the network is written, and what runs it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, UnavailableError
from components.core.network import WholeNetwork
from components.export.quantize import quantized

XML, ONNX = "model.xml", "model.onnx"


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        file: That the runtime opens.
        runtime: Package that runs it.
        integers: Whether the backbone computes in 8 bits, so that the threshold is calibrated anew.
    """

    file: str
    runtime: str
    integers: bool = False


FORMATS: Mapping[str, Format] = {
    "onnx": Format(file=ONNX, runtime="onnxruntime"),
    "openvino": Format(file=XML, runtime="openvino"),
    "openvino-int8": Format(file=XML, runtime="openvino", integers=True),
}


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        ConfigError: There is none.
        UnavailableError: What it needs is not installed.
    """
    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(FORMATS)}."
        raise ConfigError(f"There is no export format {name!r}.", hint=hint)
    found = FORMATS[name]
    for package in (found.runtime, *(["nncf"] if found.integers else [])):
        if find_spec(package) is None:
            raise UnavailableError(f"{name} needs {package}, which is not installed.", hint=f"pip install {package}")
    return found


def write_network(network: WholeNetwork, folder: Path, *, chosen: Format, inputs: Sequence[Any]) -> None:
    """Write the network into `folder`.

    Args:
        network: What is exported.
        folder: Exists.
        chosen: Its format.
        inputs: What the network takes, of normal training samples: ranges of 8 bits come from them.

    Raises:
        ModelError: The network has nothing that could compute in 8 bits.
        UnavailableError: OpenVINO cannot write it, as on a full disk.
    """
    if chosen.file == ONNX:
        (folder / ONNX).write_bytes(network.onnx)
        return
    from openvino import Core, save_model

    model = Core().read_model(network.onnx)
    if chosen.integers:
        model = quantized(model, inputs=inputs)
    try:
        save_model(model, folder / XML, compress_to_fp16=False)
    except RuntimeError as error:
        raise UnavailableError(
            f"{folder / XML} cannot be written: {error}.", hint="Free some space, or name another folder with --out."
        ) from error
