"""A network of torch as a part of an exported one: torch traces it, and it follows the backbone as its head."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from ...core.errors import ModelError
from ..onnx_graph import HEAD, OPSET, OnnxGraph, Value

_OUTPUTS = ("score", "map")
_LARGEST = 2**31 - 2**28
"""Bytes of a network's tensors: what an ONNX file may have, less a backbone's."""


def traced(graph: OnnxGraph, network: nn.Module, given: Sequence[Value]) -> dict[str, Value]:
    """Score ``(1,)`` and map ``(1, H, W)`` that `network` makes of the values `given`, of one image, in `graph`.

    Raises:
        ModelError: The network is larger than an ONNX file may be.
    """
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size > _LARGEST:
        raise ModelError(
            f"This model's {size / 1e9:.1f} GB of numbers are more than an ONNX file holds.",
            hint="Retrain with a smaller image_size.",
        )
    names = [f"given.{number}" for number in range(len(given))]
    logging.getLogger("onnxscript").setLevel(logging.ERROR)  # it names every operation that it leaves as it is
    with torch.no_grad():
        program = torch.onnx.export(
            network.eval(),
            tuple(torch.zeros(value.shape) for value in given),
            input_names=names,
            output_names=_OUTPUTS,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    written = program.model_proto.SerializeToString()
    return graph.holding(written, under=HEAD, given=dict(zip(names, given, strict=True)))
