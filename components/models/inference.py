"""Frozen networks through OpenVINO: one image a request, one thread a request, as many at once as there are processors.

The only importer of OpenVINO among the models. An image never shares a request, so its features are the same bits
whatever batch it came in; a request never shares threads, so nothing spins beside another busy process. Graphs are
put together from OpenVINO's own operations: to trace a network with torch and convert it takes seconds every time. They
take images of any shape, for the same time and bits as one of that shape alone would.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UnavailableError
from .params.base import Precision

if TYPE_CHECKING:
    import openvino

Floats = NDArray[np.float32]
Node = Any
"""An operation's output in a graph; the package has no types for it."""


def lacks(precision: Precision) -> str:
    """Why this machine's processor cannot compute in `precision`, or ""."""
    able = precision == "f32" or "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "" if able else f"This processor does not compute in {precision}."


ByShape = Callable[[tuple[int, int]], Floats]
"""What a network needs besides an image of that height and width, pixels."""


class Graph:
    """A network of an image ``(1, H, W, 3)`` of uint8, put together from operations on ``(1, C, h, w)``.

    Attributes:
        by_shape: Of what `depends` gave, in its order, how it is made.
    """

    def __init__(self) -> None:
        from openvino import opset13

        self._ops: Any = opset13
        self._inputs = [opset13.parameter([1, -1, -1, 3], np.uint8, name="image")]
        self.by_shape: list[ByShape] = []

    def image(self, *, mean: Sequence[float], deviation: Sequence[float]) -> Node:
        """The input as ``(1, 3, H, W)``: channels of [0, 1], less their mean, by their deviation."""
        scale = (1 / (255 * np.array(deviation))).astype(np.float32)
        shift = (-np.array(mean) / np.array(deviation)).astype(np.float32)
        values = self._ops.convert(self._inputs[0], np.float32)
        return self.add(self.times(self._ops.transpose(values, np.array([0, 3, 1, 2])), _across(scale)), _across(shift))

    def depends(self, make: ByShape, *, width: int) -> Node:
        """``(1, T, C)``, C the `width`, that `make` makes for the image's shape."""
        self.by_shape.append(make)
        self._inputs.append(self._ops.parameter([1, -1, width], np.float32, name=f"by shape {len(self.by_shape)}"))
        return self._inputs[-1]

    def channels(self, x: Node) -> int:
        """C of ``(1, C, h, w)``."""
        return int(x.get_output_partial_shape(0)[1].get_length())

    def convolution(self, x: Node, weight: Floats, *, stride: int, grouped: bool = False) -> Node:
        """`weight` ``(O, I, k, k)``, zeros around as TensorFlow's "SAME" does; `grouped`: a channel by itself."""
        kernel = weight[:, :, None] if grouped else weight
        name = self._ops.group_convolution if grouped else self._ops.convolution
        return name(x, self._constant(kernel), [stride, stride], [0, 0], [0, 0], [1, 1], "same_upper")

    def relu6(self, x: Node) -> Node:
        """Values limited to [0, 6]."""
        return self._ops.clamp(x, 0.0, 6.0)

    def gelu(self, x: Node) -> Node:
        """Gaussian error linear unit, exact."""
        return self._ops.gelu(x, "erf")

    def add(self, x: Node, y: Node | Floats) -> Node:
        """Sum; what has one row is added to all."""
        return self._ops.add(x, self._constant(y))

    def times(self, x: Node, y: Node | Floats) -> Node:
        """Product by elements."""
        return self._ops.multiply(x, self._constant(y))

    def linear(self, x: Node, weight: Floats, bias: Floats) -> Node:
        """`x` ``(..., I)`` by `weight` ``(O, I)``, plus `bias`."""
        return self.add(self._ops.matmul(x, self._constant(weight), False, True), bias)

    def layer_norm(self, x: Node, weight: Floats, bias: Floats, *, epsilon: float) -> Node:
        """Each row of the last axis to mean 0 and deviation 1, scaled."""
        rows = self._ops.mvn(x, np.array([-1]), True, epsilon, "inside_sqrt")
        return self.add(self.times(rows, weight), bias)

    def attention(self, joined: Node, *, heads: int, width: int) -> Node:
        """Softmax attention of `joined` ``(1, T, 3 width)``: queries, keys and values side by side."""
        parts = self._ops.reshape(joined, np.array([1, -1, 3, heads, width // heads]), False)
        by_kind = self._ops.transpose(parts, np.array([2, 0, 3, 1, 4]))
        query, key, value = (self._ops.gather(by_kind, np.array(kind), np.array(0)) for kind in range(3))
        mixed = self._ops.scaled_dot_product_attention(query, key, value)
        return self._ops.reshape(self._ops.transpose(mixed, np.array([0, 2, 1, 3])), np.array([1, -1, width]), False)

    def tokens(self, x: Node) -> Node:
        """``(1, C, h, w)`` as ``(1, h w, C)``."""
        flat = self._ops.reshape(x, np.array([1, self.channels(x), -1]), False)
        return self._ops.transpose(flat, np.array([0, 2, 1]))

    def before(self, x: Node, first: Floats) -> Node:
        """`x` ``(1, T, C)`` with the tokens `first` ``(1, t, C)`` before it."""
        return self._ops.concat([self._constant(first), x], 1)

    def grid(self, x: Node, *, skip: int, stride: int) -> Node:
        """Tokens ``(1, skip + h w, C)`` but the first as ``(1, C, h, w)``, h and w the image's sides by the stride."""
        kept = self._ops.slice(x, np.array([skip]), np.array([2**31 - 1]), np.array([1]), np.array([1]))
        width = int(x.get_output_partial_shape(0)[2].get_length())
        sides = self._ops.gather(self._ops.shape_of(self._inputs[0]), np.array([1, 2]), np.array(0))
        shape = self._ops.concat([np.array([1, width]), self._ops.divide(sides, np.array(stride))], 0)
        return self._ops.reshape(self._ops.transpose(kept, np.array([0, 2, 1])), shape, False)

    def model(self, outputs: Sequence[Node]) -> "openvino.Model":
        """The whole, which gives `outputs` as ``(1, h, w, C)``: what the CPU computes in, whatever order they have."""
        from openvino import Model

        order = np.array([0, 2, 3, 1])
        results = [self._ops.result(self._ops.transpose(node, order)) for node in outputs]
        return Model(results, self._inputs, "backbone")

    def _constant(self, values: Node | Floats) -> Node:
        """A node as it is; weights as a constant, of which OpenVINO itself would make a list of numbers."""
        return self._ops.constant(values) if isinstance(values, np.ndarray) else values


class Network:
    """A graph, compiled.

    Args:
        graph: The whole.
        outputs: What it gives, ``(1, C, h, w)`` each; channels come last in what `run` returns.
        precision: Computed in; on a host that lacks it there is an error, never another precision.

    Raises:
        UnavailableError: The processor does not compute in `precision`.
    """

    def __init__(self, graph: Graph, outputs: Sequence[Node], *, precision: Precision) -> None:
        from openvino import AsyncInferQueue

        if reason := lacks(precision):
            raise UnavailableError(reason, hint="Use f32, or a machine with AMX or AVX512-BF16.")
        count = len(os.sched_getaffinity(0))
        # Without the hint OpenVINO takes bf16 by itself where there is AMX; pinned threads wait for busy neighbours.
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": str(count),
            "INFERENCE_NUM_THREADS": count,
            "ENABLE_CPU_PINNING": False,
        }
        self._by_shape = graph.by_shape
        compiled = _core().compile_model(graph.model(outputs), "CPU", options)
        # As many again wait, so that no processor is idle until Python has filled the next one.
        self._queue = AsyncInferQueue(compiled, 2 * count)

    def run(self, images: NDArray[np.uint8]) -> list[Floats]:
        """Outputs ``(N, h, w, C)`` of the images ``(N, H, W, 3)``; never from two threads at once, see `Backbone`."""
        height, width = images.shape[1:3]
        besides = {number: make((height, width)) for number, make in enumerate(self._by_shape, start=1)}
        found: list[list[Floats]] = [[] for _ in images]

        def keep(request: Any, place: int) -> None:
            found[place] = [output.data[0].copy() for output in request.output_tensors]

        self._queue.set_callback(keep)
        for place, image in enumerate(images):
            self._queue.start_async({0: image[None], **besides}, place)
        self._queue.wait_all()
        return [np.stack(layer) for layer in zip(*found, strict=True)]


@lru_cache(maxsize=1)
def _core() -> "openvino.Core":
    from openvino import Core

    return Core()


def _across(values: Floats) -> Floats:
    """One value a channel, for ``(1, C, h, w)``."""
    return values.reshape(1, -1, 1, 1)


@lru_cache(maxsize=1)
def has_cuda() -> bool:
    """Whether torch sees a device; not asked where there is no driver, since torch takes half a gigabyte of memory."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()
