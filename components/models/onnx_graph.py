"""A detector written down as one ONNX network: the operations of `inference.Graph`, and those of what follows it.

Put together node by node, so that the network on an edge device has the structure of the one that scores here; only the
heads of the zoo, which are torch's, are traced (`zoo.traced`). Floats of 32 bits, which small runtimes compute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ModelError
from .inference import ByShape, Floats

OPSET, IR_VERSION = 18, 8
PRODUCER = "linewright"

HEAD = "head/"
"""What the names of operations behind a backbone bear: distances, which 8 bits are too coarse for."""

IMAGE = "image"
"""The input of a network of images."""

LARGEST = 2**31 - 2**24
"""Bytes of a network's constants: what a file of ONNX may have, less what is around them."""

Ints = Sequence[int]


@dataclass(frozen=True)
class Value:
    """An operation's output.

    Attributes:
        name: Unique in the graph; that of the operation, too.
        shape: Sizes; -1 where it is the number of samples.
    """

    name: str
    shape: tuple[int, ...]


Operand = Value | NDArray[Any]


class OnnxGraph:
    """A network that grows by calls of its methods.

    Args:
        height, width: Of what a backbone sees: the image, or each of its T tiles.
        canvas: Height and width of the input, for a network of images.
        corners: Row and column of the tiles' first pixels.

    Attributes:
        pixels: ``(T, 3, H, W)`` of [0, 255], what a backbone sees before it is scaled, once there is `image`.
    """

    pixels: Value

    def __init__(
        self,
        *,
        height: int = 0,
        width: int = 0,
        canvas: tuple[int, int] = (0, 0),
        corners: Sequence[tuple[int, int]] = ((0, 0),),
    ) -> None:
        self.height, self.width = height, width
        self._canvas, self._corners = canvas, corners
        self._prefix = ""
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def head(self) -> None:
        """From here on, operations belong to `HEAD`."""
        self._prefix = HEAD

    # Inputs and outputs ------------------------------------------------------------------------------

    def image(self, *, mean: Sequence[float], deviation: Sequence[float]) -> Value:
        """Input `image` ``(1, S, R, 3)`` of uint8 as ``(T, 3, H, W)``: channels of [0, 1], less mean, by deviation."""
        from onnx import TensorProto

        pixels = self._input(IMAGE, (1, *self._canvas, 3), TensorProto.UINT8)
        values = self.floats(pixels)
        tiles = [self.part(values, (top, left), (self.height, self.width), axes=(1, 2)) for top, left in self._corners]
        scale = (1 / (255 * np.array(deviation))).astype(np.float32)
        shift = (-np.array(mean) / np.array(deviation)).astype(np.float32)
        self.pixels = self.transpose(self.joined(tiles, axis=0), (0, 3, 1, 2))
        return self.add(self.times(self.pixels, scale.reshape(1, -1, 1, 1)), shift.reshape(1, -1, 1, 1))

    def windows(self, *, rows: int, columns: int) -> Value:
        """Input `window` ``(N, W, D)`` of floats."""
        from onnx import TensorProto

        return self._input("window", (-1, rows, columns), TensorProto.FLOAT)

    def holding(self, network: bytes, *, under: str, given: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """A whole network as a part of this one, its operations named `under` it; its outputs.

        Args:
            network: Of this opset, serialized.
            under: What names begin with.
            given: What it takes, by its inputs; None: they become inputs of this network.

        Raises:
            ValueError: It takes something else, or has more in it than operations of ONNX.
        """
        import onnx
        from onnx import compose, helper

        model = onnx.load_from_string(network)
        takes = {one.name for one in model.graph.input}
        if model.functions or (given is not None and takes != given.keys()):
            raise ValueError(f"a network that takes {sorted(takes)} cannot be a part of another")
        graph = compose.add_prefix(model, prefix=under).graph
        if given is None:
            self._inputs += graph.input
        for name, value in (given or {}).items():
            self._nodes.append(helper.make_node("Identity", [value.name], [under + name], name=under + name))
        for node in graph.node:
            del node.metadata_props[:]  # where in the source it was written
        self._nodes += graph.node
        self._constants += graph.initializer
        shapes = {one.name: [size.dim_value or -1 for size in one.type.tensor_type.shape.dim] for one in graph.output}
        return {name.removeprefix(under): Value(name, tuple(shape)) for name, shape in shapes.items()}

    def output(self, name: str, value: Value) -> None:
        """`value` as the network's output `name`."""
        from onnx import TensorProto, helper

        self._nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, _sizes(value.shape)))

    def serialized(self) -> bytes:
        """The network, checked.

        Raises:
            ModelError: It is larger than a file of ONNX may be.
            ValueError: It is no sound ONNX.
        """
        import onnx
        from onnx import helper

        check_size(sum(len(constant.raw_data) for constant in self._constants))
        graph = helper.make_graph(self._nodes, PRODUCER, self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name=PRODUCER
        )
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError(f"the network is no sound ONNX: {error}") from error
        return bytes(model.SerializeToString())

    # Of backbones, as in `inference.Graph` -----------------------------------------------------------

    def depends(self, make: ByShape, *, width: int) -> Floats:  # noqa: ARG002 - as there
        """What `make` makes for the one shape that this network takes."""
        return make((self.height, self.width))

    def channels(self, x: Value) -> int:
        """C of ``(N, C, h, w)``."""
        return x.shape[1]

    def convolution(self, x: Value, weight: Floats, *, stride: int, grouped: bool = False) -> Value:
        """`weight` ``(O, I, k, k)``, zeros around as TensorFlow's "SAME" does; `grouped`: a channel by itself."""
        height, width = (-(-side // stride) for side in x.shape[2:])
        more = {"group": len(weight)} if grouped else {}
        shape = (x.shape[0], len(weight), height, width)
        return self.op("Conv", x, weight, shape=shape, strides=[stride, stride], auto_pad="SAME_UPPER", **more)

    def relu6(self, x: Value) -> Value:
        """Values limited to [0, 6]."""
        return self.clip(x, low=0.0, high=6.0)

    def gelu(self, x: Value) -> Value:
        """Gaussian error linear unit, exact."""
        error = self.op("Erf", self.times(x, _number(np.sqrt(0.5))), shape=x.shape)
        return self.times(self.times(x, self.add(error, _number(1))), _number(0.5))

    def add(self, x: Value, y: Operand) -> Value:
        """Sum; what has one row is added to all."""
        return self.op("Add", x, y, shape=_together(x.shape, y.shape))

    def times(self, x: Value, y: Operand) -> Value:
        """Product by elements."""
        return self.op("Mul", x, y, shape=_together(x.shape, y.shape))

    def linear(self, x: Value, weight: Floats, bias: Floats) -> Value:
        """`x` ``(..., I)`` by `weight` ``(O, I)``, plus `bias`."""
        return self.add(self.product(x, np.ascontiguousarray(weight.T)), bias)

    def layer_norm(self, x: Value, weight: Floats, bias: Floats, *, epsilon: float) -> Value:
        """Each row of the last axis to mean 0 and deviation 1, scaled."""
        return self.op("LayerNormalization", x, weight, bias, shape=x.shape, axis=-1, epsilon=epsilon)

    def attention(self, joined: Value, *, heads: int, width: int) -> Value:
        """Softmax attention of `joined` ``(N, T, 3 width)``: queries, keys and values side by side."""
        count, tokens, each = *joined.shape[:2], width // heads
        parts = self.transpose(self.reshape(joined, (count, tokens, 3, heads, each)), (2, 0, 3, 1, 4))
        query, key, value = (self.take(parts, np.array(kind), axis=0) for kind in range(3))
        products = self.product(query, self.transpose(key, (0, 1, 3, 2)))
        weights = self.op("Softmax", self.times(products, _number(each**-0.5)), shape=products.shape, axis=-1)
        mixed = self.transpose(self.product(weights, value), (0, 2, 1, 3))
        return self.reshape(mixed, (count, tokens, width))

    def tokens(self, x: Value) -> Value:
        """``(N, C, h, w)`` as ``(N, h w, C)``."""
        return self.transpose(self.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3])), (0, 2, 1))

    def before(self, x: Value, first: Floats) -> Value:
        """`x` ``(N, T, C)`` with the tokens `first` ``(1, t, C)`` before it."""
        each = np.repeat(first, x.shape[0], axis=0)
        return self.op("Concat", each, x, shape=(x.shape[0], first.shape[1] + x.shape[1], x.shape[2]), axis=1)

    def grid(self, x: Value, *, skip: int, stride: int) -> Value:
        """Tokens ``(N, skip + h w, C)`` but the first as ``(N, C, h, w)``, h and w the image's sides by the stride."""
        shape = (self.height // stride, self.width // stride)
        kept = self.part(x, (skip,), (x.shape[1] - skip,), axes=(1,))
        return self.reshape(self.transpose(kept, (0, 2, 1)), (x.shape[0], x.shape[2], *shape))

    # Of what follows them ----------------------------------------------------------------------------

    def minus(self, x: Value, y: Operand) -> Value:
        """Difference."""
        return self.op("Sub", x, y, shape=_together(x.shape, y.shape))

    def product(self, x: Operand, y: Operand) -> Value:
        """Matrices of the last two axes, multiplied."""
        around = _together(x.shape[:-2], y.shape[:-2])
        return self.op("MatMul", x, y, shape=(*around, x.shape[-2], y.shape[-1]))

    def clip(self, x: Value, *, low: float, high: float) -> Value:
        """Values limited to [`low`, `high`]."""
        return self.op("Clip", x, _number(low), _number(high), shape=x.shape)

    def log(self, x: Value) -> Value:
        """Natural logarithm."""
        return self.op("Log", x, shape=x.shape)

    def floats(self, x: Value) -> Value:
        """Truth values or whole numbers as floats."""
        from onnx import TensorProto

        return self.op("Cast", x, shape=x.shape, to=TensorProto.FLOAT)

    def whole(self, x: Value) -> Value:
        """Floats as whole numbers, which places are."""
        from onnx import TensorProto

        return self.op("Cast", x, shape=x.shape, to=TensorProto.INT64)

    def root(self, x: Value) -> Value:
        """Square root."""
        return self.op("Sqrt", x, shape=x.shape)

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        """The same values in another shape; -1 is what is left over."""
        return self.op("Reshape", x, np.array(shape, np.int64), shape=shape)

    def transpose(self, x: Value, order: Ints) -> Value:
        """Axes in another order."""
        return self.op("Transpose", x, shape=tuple(x.shape[axis] for axis in order), perm=list(order))

    def take(self, x: Operand, places: Operand, *, axis: int) -> Value:
        """What lies at `places` along an axis, which takes their shape."""
        chosen = places if isinstance(places, Value) else places.astype(np.int64)
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
        return self.op("Gather", x, chosen, shape=shape, axis=axis)

    def part(self, x: Value, starts: Ints, sizes: Ints, *, axes: Ints) -> Value:
        """What lies from `starts` on along `axes`, so many of each; `x` itself where that is all."""
        shape = list(x.shape)
        for axis, size in zip(axes, sizes, strict=True):
            shape[axis] = size
        if tuple(shape) == x.shape:
            return x
        ends = [start + size for start, size in zip(starts, sizes, strict=True)]
        places = (np.array(each, np.int64) for each in (starts, ends, axes))
        return self.op("Slice", x, *places, shape=tuple(shape))

    def joined(self, parts: Sequence[Value], *, axis: int) -> Value:
        """Parts one after the other along an axis."""
        if len(parts) == 1:
            return parts[0]
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.op("Concat", *parts, shape=tuple(shape), axis=axis)

    def reduced(self, kind: str, x: Value, *, axes: Ints, keep: bool = False) -> Value:
        """`kind` (Mean, Max, Min or Sum) over `axes`; kept as axes of 1, or not."""
        gone = {axis % len(x.shape) for axis in axes}
        sizes = enumerate(x.shape)
        shape = tuple(1 if axis in gone else size for axis, size in sizes if keep or axis not in gone)
        return self.op(f"Reduce{kind}", x, np.array(sorted(gone), np.int64), shape=shape, keepdims=int(keep))

    def length(self, x: Value, *, axis: int = -1, keep: bool = False) -> Value:
        """Euclidean length along an axis."""
        return self.root(self.reduced("Sum", self.times(x, x), axes=(axis,), keep=keep))

    def extreme(self, x: Value, count: int, *, largest: bool) -> tuple[Value, Value]:
        """The `count` largest or smallest values along the last axis, and their places."""
        shape = (*x.shape[:-1], count)
        sizes = np.array([count], np.int64)
        values = self.op("TopK", x, sizes, shape=shape, outputs=2, axis=-1, largest=int(largest), sorted=1)
        return values, Value(f"{values.name}.1", shape)

    def constant(self, array: NDArray[Any]) -> Value:
        """An array that several operations share."""
        return Value(self._constant(array, f"{self._prefix}shared"), array.shape)

    def op(self, kind: str, *inputs: Operand, shape: tuple[int, ...], outputs: int = 1, **attributes: Any) -> Value:
        """One operation of ONNX; arrays become constants."""
        from onnx import helper

        name = f"{self._prefix}{kind}.{len(self._nodes)}"
        given = [value.name if isinstance(value, Value) else self._constant(value, name) for value in inputs]
        names = [name, *(f"{name}.{number}" for number in range(1, outputs))]
        self._nodes.append(helper.make_node(kind, given, names, name=name, **attributes))
        return Value(name, tuple(int(size) for size in shape))

    def _constant(self, array: NDArray[Any], owner: str) -> str:
        from onnx import numpy_helper

        name = f"{owner}.constant.{len(self._constants)}"
        plain = array.astype(np.float32) if array.dtype == np.float64 else array
        self._constants.append(numpy_helper.from_array(np.asarray(plain, order="C"), name))
        return name

    def _input(self, name: str, shape: tuple[int, ...], kind: int) -> Value:
        from onnx import helper

        self._inputs.append(helper.make_tensor_value_info(name, kind, _sizes(shape)))
        return Value(name, shape)


def check_size(size: int) -> None:
    """Raise ModelError where a network's constants have more bytes than a file of ONNX holds."""
    if size > LARGEST:
        raise ModelError(
            f"This model's {size / 1e9:.1f} GB of numbers are more than a file of ONNX holds.",
            hint="Retrain with a smaller image_size, or with fewer samples or trees.",
        )


def _number(value: float) -> Floats:
    return np.array(value, np.float32)


def _sizes(shape: tuple[int, ...]) -> list[int | str]:
    return ["N" if size < 0 else size for size in shape]


def _together(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what two shapes are broadcast to.

    >>> _together((-1, 3, 1), (4,))
    (-1, 3, 4)
    """
    rank = max(len(one), len(other))
    pairs = zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(other)) + other, strict=True)
    return tuple(right if left == 1 else left for left, right in pairs)
