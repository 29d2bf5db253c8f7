"""Frozen feature extractors: a pretrained network up to the chosen layers, through OpenVINO or on a CUDA device.

Networks that were compiled are kept by what they were made of, because a search makes many detectors over one backbone.
"""

import threading
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ModelError
from ..core.hashing import sha256_bytes, sha256_json
from . import efficientnet, vit
from .inference import Floats, Graph, Network, Node, has_cuda
from .onnx_graph import OnnxGraph, Value
from .params.base import Precision
from .weights import find_weights, read_weights

if TYPE_CHECKING:
    from .torch_network import TorchNetwork

_BUILD: Mapping[str, Callable[..., list[Node]]] = {"efficientnet-lite0": efficientnet.build, "dino-vits14": vit.build}
_NEEDED = {"efficientnet-lite0": efficientnet.needed, "dino-vits14": vit.needed}
_COMPILED = 8
"""Networks that are kept compiled in one process: of layers and precisions."""

_ONE_AT_A_TIME = threading.Lock()
"""Two threads, each in the queue of a network that it had compiled for itself, have waited for each other for good."""


class Backbone:
    """The network up to the chosen layers.

    Args:
        name: `efficientnet-lite0` (layer n, 0 to 4, has stride 2^(n+1)) or `dino-vits14` (layer n, 1 to 12, is behind
            n blocks; all have stride 14).
        tensors: Weights by timm's names, of the layers in use.
        layers: Rising.
        digest: SHA-256 of the file that the weights came from.
        precision: Computed in.

    Raises:
        ModelError: The weights do not fit.
    """

    def __init__(
        self,
        name: str,
        tensors: Mapping[str, Floats],
        *,
        layers: tuple[int, ...],
        digest: str,
        precision: Precision = "f32",
    ) -> None:
        self.name, self.layers, self.digest, self.precision = name, layers, digest, precision
        self._arrays = dict(tensors)
        try:
            graph, outputs = self._graph()
            self.channels = tuple(graph.channels(node) for node in outputs)
            for make in graph.by_shape:
                make((self.multiple, self.multiple))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise ModelError(
                f"The backbone's weights do not fit layers {layers} of {name}.", hint="Retrain."
            ) from error

    @classmethod
    def installed(cls, name: str, *, layers: tuple[int, ...], precision: Precision = "f32") -> Self:
        """With the weights that `find_weights` finds.

        Raises:
            UnavailableError: There are none, or they are of another network.
        """
        tensors, digest = read_weights(name, find_weights(name))
        starts = _NEEDED[name](layers)
        kept = {key: value for key, value in tensors.items() if key.startswith(starts) and value.dtype == np.float32}
        return cls(name, kept, layers=layers, digest=digest, precision=precision)

    @cached_property
    def identities(self) -> tuple[Hashable, ...]:
        """One a layer, equal where its features are the same; weights count by their content, not by a file's name."""
        digests = {key: sha256_bytes(np.ascontiguousarray(array).data) for key, array in self._arrays.items()}
        found = []
        for layer in self.layers:
            # In 16 bits a layer is rounded elsewhere where another one leaves the network before it.
            beside = (layer,) if self.precision == "f32" else self.layers
            starts = _NEEDED[self.name](beside)
            content = sha256_json({key: digest for key, digest in digests.items() if key.startswith(starts)})
            found.append((self.name, layer, beside, self.precision, content))
        return tuple(found)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between the patches of each layer."""
        if self.name == "dino-vits14":
            return (vit.STRIDE,) * len(self.layers)
        return tuple(efficientnet.STRIDES[layer] for layer in self.layers)

    @property
    def multiple(self) -> int:
        """What sides of images should be multiples of."""
        return max(self.strides)

    def tensors(self) -> Mapping[str, Floats]:
        """Weights of the layers in use, by timm's names."""
        return self._arrays

    def features(self, images: NDArray[np.uint8]) -> list[Floats]:
        """One ``(N, h, w, C)`` a layer, C its channels, of the images ``(N, H, W, 3)``; any H and W.

        Threads wait for each other here; one call of many images uses all processors.

        Raises:
            UnavailableError: The processor, or the CUDA device where there is one, does not compute in `precision`.
        """
        with _ONE_AT_A_TIME:
            return _compiled(_Key(self)).run(images)

    def drawn(self, graph: OnnxGraph) -> list[Value]:
        """The same network at the beginning of `graph`, from its images to one ``(1, C, h, w)`` a layer."""
        return _BUILD[self.name](graph, self._arrays, layers=self.layers)

    def _graph(self) -> tuple[Graph, list[Node]]:
        graph = Graph()
        return graph, _BUILD[self.name](graph, self._arrays, layers=self.layers)


class _Key:
    """Equal where the compiled network is."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.backbone.identities == other.backbone.identities

    def __hash__(self) -> int:
        return hash(self.backbone.identities)


@lru_cache(maxsize=_COMPILED)
def _compiled(key: _Key) -> "Network | TorchNetwork":
    one = key.backbone
    if has_cuda():
        from .torch_network import TorchNetwork

        return TorchNetwork(one.name, one._arrays, layers=one.layers, precision=one.precision)
    return Network(*one._graph(), precision=one.precision)
