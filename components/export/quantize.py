"""A network's backbone in 8 bits, by NNCF; the only importer of it. Distances behind the backbone stay floats."""

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import ModelError
from components.core.seeds import generator
from components.models.onnx_graph import HEAD

INPUTS = 64
"""Training images that ranges are measured on; more move them little."""

_HEAVY = frozenset({"Convolution", "GroupConvolution", "MatMul"})


def quantized(model: Any, *, inputs: Sequence[Mapping[str, NDArray[np.uint8]]]) -> Any:
    """`model` with its backbone in 8 bits, for what normal images and foreign things in them do to it.

    Ranges of normal `inputs` alone would cut off what makes an anomaly stand out, so each image is taken a second time
    with a rectangle of another colour or of noise in it.

    Args:
        model: Of OpenVINO.
        inputs: Of each image what the network takes, ``(1, H, W, 3)`` of uint8 by the name of an input.

    Raises:
        ModelError: It has no backbone.
    """
    if not any(op.get_type_name() in _HEAVY and not _in_head(op) for op in model.get_ops()):
        raise ModelError(
            "This detector has no backbone that could compute in 8 bits.", hint="Use --format openvino or onnx."
        )
    shown = [*inputs, *(_with_foreign(image, number) for number, image in enumerate(inputs))]
    with _quiet():
        import nncf

        nncf.set_log_level(logging.ERROR)
        transformer = any(op.get_type_name() in {"SoftMax", "Softmax"} for op in model.get_ops())
        return nncf.quantize(
            model,
            nncf.Dataset(shown),
            subset_size=len(shown),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(names=[op.get_friendly_name() for op in model.get_ops() if _in_head(op)]),
        )


def _in_head(op: Any) -> bool:
    return HEAD in op.get_friendly_name()


def _with_foreign(sizes: Mapping[str, NDArray[np.uint8]], number: int) -> dict[str, NDArray[np.uint8]]:
    return {name: _with_rectangle(image, number) for name, image in sizes.items()}


def _with_rectangle(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    rng, found = generator(number, "foreign"), image.copy()
    height, width = (side // 3 for side in image.shape[1:3])
    top, left = rng.integers(image.shape[1] - height), rng.integers(image.shape[2] - width)
    noise = rng.integers(0, 256, (height, width, 3))
    found[0, top : top + height, left : left + width] = rng.choice([0, 255], 3) if number % 2 else noise
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """NNCF tells of its progress on standard output, where our answers are; torch, that it finds no CUDA for NNCF."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    with redirect_stdout(io.StringIO()):
        yield
