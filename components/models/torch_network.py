"""The backbones in torch, where there is a CUDA device: timm's networks with the same weights and layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import UnavailableError
from . import efficientnet, vit
from .inference import Floats
from .params.base import Precision

_IMAGES_AT_ONCE = 16


class TorchNetwork:
    """What `inference.Network` is, by torch.

    Args:
        name: Of the backbone.
        tensors: Weights by timm's names, of the layers.
        layers: Rising.
        precision: Computed in; f32 is never TF32.
        device: Where.

    Raises:
        UnavailableError: The device does not compute in `precision`.
    """

    def __init__(
        self,
        name: str,
        tensors: Mapping[str, Floats],
        *,
        layers: tuple[int, ...],
        precision: Precision,
        device: str = "cuda",
    ) -> None:
        if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported():
            raise UnavailableError("This CUDA device does not compute in bf16.", hint="Use f32.")
        self._layers, self._device, self._precision = layers, device, precision
        lite = name == "efficientnet-lite0"
        family: Any = efficientnet if lite else vit
        self._mean, self._deviation = (
            torch.tensor(values, device=device).reshape(1, 3, 1, 1) for values in (family.MEAN, family.DEVIATION)
        )
        known = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in tensors.items()}
        self._positions = None if lite else tensors["pos_embed"]
        self._model = _lite(known, layers) if lite else _vit(known, layers)
        self._model.eval().to(device)
        self._forward = self._lite_layers if lite else self._vit_layers

    def run(self, images: NDArray[np.uint8]) -> list[Floats]:
        """Outputs ``(N, h, w, C)`` of the images ``(N, H, W, 3)``."""
        parts = [
            self._batch(images[start : start + _IMAGES_AT_ONCE]) for start in range(0, len(images), _IMAGES_AT_ONCE)
        ]
        return [np.concatenate(one) for one in zip(*parts, strict=True)]

    def _batch(self, images: NDArray[np.uint8]) -> list[Floats]:
        fast = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        try:
            bf16 = torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._precision == "bf16")
            with torch.inference_mode(), bf16:
                x = torch.from_numpy(np.ascontiguousarray(images)).to(self._device).permute(0, 3, 1, 2) / 255
                found = self._forward((x - self._mean) / self._deviation)
            return [one.permute(0, 2, 3, 1).float().cpu().numpy() for one in found]
        finally:
            torch.backends.cudnn.allow_tf32 = fast

    def _lite_layers(self, x: torch.Tensor) -> list[torch.Tensor]:
        x, found = self._model["bn1"](self._model["conv_stem"](x)), {}
        for number, group in enumerate(self._model["blocks"]):
            x = group(x)
            found[number] = x
        return [found[efficientnet.LAST_GROUP[layer]] for layer in self._layers]

    def _vit_layers(self, x: torch.Tensor) -> list[torch.Tensor]:
        assert self._positions is not None
        places = torch.from_numpy(vit.positions(self._positions, (x.shape[2], x.shape[3])))
        self._model.pos_embed = torch.nn.Parameter(places.to(self._device), requires_grad=False)
        indices = [layer - 1 for layer in self._layers]
        found: list[torch.Tensor] = self._model.forward_intermediates(x, indices=indices, intermediates_only=True)
        return found


def _lite(tensors: Mapping[str, torch.Tensor], layers: tuple[int, ...]) -> Any:
    import timm

    with torch.device("meta"):
        whole: Any = timm.create_model(efficientnet.ARCHITECTURE, pretrained=False)
    groups = whole.blocks[: efficientnet.LAST_GROUP[max(layers)] + 1]
    model = torch.nn.ModuleDict({"conv_stem": whole.conv_stem, "bn1": whole.bn1, "blocks": groups})
    counts = {key: torch.zeros((), dtype=torch.long) for key in model.state_dict() if key.endswith("batches_tracked")}
    model.load_state_dict({**counts, **tensors}, strict=True, assign=True)
    return model


def _vit(tensors: Mapping[str, torch.Tensor], layers: tuple[int, ...]) -> Any:
    import timm

    with torch.device("meta"):
        model: Any = timm.create_model(vit.ARCHITECTURE, pretrained=False, num_classes=0)
    model.patch_embed.strict_img_size = False  # positions are set for each shape
    model.blocks, model.norm = model.blocks[: max(layers)], torch.nn.Identity()
    model.load_state_dict(tensors, strict=True, assign=True)
    return model
