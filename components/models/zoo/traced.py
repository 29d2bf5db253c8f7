"""A network of torch as a part of an exported one: torch traces it, and it follows the backbone as its head."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from ..onnx_graph import HEAD, OPSET, OnnxGraph, Value, check_size

_OUTPUTS = ("score", "map")


def traced(graph: OnnxGraph, network: nn.Module, given: Sequence[Value]) -> dict[str, Value]:
    """Score ``(1,)`` and map ``(1, H, W)`` that `network` makes of the values `given`, of one image, in `graph`.

    Raises:
        ModelError: The network is larger than a file of ONNX may be.
    """
    check_size(sum(tensor.nbytes for tensor in network.state_dict().values()))
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
