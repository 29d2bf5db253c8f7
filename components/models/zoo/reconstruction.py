"""`dinomaly` and `inp-former`: a decoder that rebuilds a vision transformer's features of normal images, and no others.

Where what it rebuilds points another way than the features, the image is anomalous. Features are those behind blocks 3
to 6 and 7 to 10, averaged in each group, of the patches alone: the class token is left out. Both papers train ViT-B for
5,000 steps or 200 epochs on GPUs; here it is ViT-S and few steps, which one processor can do.

- Dinomaly: Guo et al. 2025, "Dinomaly: The Less Is More Philosophy in Multi-Class Unsupervised Anomaly Detection",
  CVPR.
- INP-Former: Luo et al. 2025, "Exploring Intrinsic Normal Prototypes within a Single Image for Universal Anomaly
  Detection", CVPR.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from math import isqrt
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import vit
from ..params import base
from ..params.zoo import DinomalyParams, InpFormerParams
from .parts import (
    AggregationBlock,
    CosineHardMiningLoss,
    DecoderViTBlock,
    DinomalyMLP,
    DinomalyModel,
    GaussianBlur2d,
    GlobalCosineHmAdaptiveLoss,
    PrototypeBlock,
    StableAdamW,
    WarmCosineScheduler,
)
from .trained import Schedule, Seen, Trainable, Trained

_BLOCKS = 8
"""Of the decoder; its first four answer to the encoder's later group, as in both papers."""
_MAP, _TOP = 256, 0.01
"""Side of the map that scores are taken from, and the share of its highest values whose mean is the score."""
_WARM_UP = 100

_NORM: Any = partial(nn.LayerNorm, eps=1e-8)


class Reconstruction(Trainable):
    """Bottleneck and decoder over the patches' features of two groups of blocks, ``(N, 2, T, C)``, T patches."""

    def __init__(self) -> None:
        super().__init__()
        self.bottleneck: nn.Module
        self.decoder: nn.ModuleList
        self.blur = GaussianBlur2d(sigma=4, channels=1, kernel_size=5)

    @abstractmethod
    def rebuilt(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Each decoder block's output for the fused features ``(N, T, C)``, and what else is to be minimised."""

    def compared(self, seen: Seen) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Features and what was rebuilt of them, two of ``(N, C, G, G)`` each, and what else is to be minimised."""
        groups = seen[0]
        outputs, more = self.rebuilt(groups.mean(dim=1))
        late, early = outputs[: _BLOCKS // 2], outputs[_BLOCKS // 2 :]
        found = [torch.stack(part, dim=1).float().mean(dim=1) for part in (early, late)]
        return [_grid(group) for group in groups.unbind(dim=1)], [_grid(group) for group in found], more

    def judge(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The mean of the highest 1 % of the smoothed map of angles."""
        features, found, _ = self.compared(seen)
        heat, _ = DinomalyModel.calculate_anomaly_maps(features, found, out_size=_MAP)
        heat = self.blur(heat)[0, 0]
        return heat.flatten().topk(int(heat.numel() * _TOP)).values.mean(), heat

    def start(self) -> None:
        """Weights as both papers draw them."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class DinomalyNetwork(Reconstruction):
    """Linear attention, which cannot focus, behind a bottleneck with dropout; easy patches count for a tenth."""

    def __init__(self, *, dropout: float, steps: int) -> None:
        super().__init__()
        self.bottleneck = DinomalyMLP(
            vit.WIDTH, 4 * vit.WIDTH, vit.WIDTH, drop=dropout, bias=False, apply_input_dropout=True
        )
        self.decoder = nn.ModuleList(
            DecoderViTBlock(vit.WIDTH, vit.HEADS, mlp_ratio=4.0, qkv_bias=True, norm_layer=_NORM)
            for _ in range(_BLOCKS)
        )
        # The paper reaches its share of easy patches after a fifth of its steps.
        self.mined = CosineHardMiningLoss(p_final=0.9, p_schedule_steps=max(1, steps // 5), factor=0.1)
        self.start()

    def rebuilt(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """See `Reconstruction`."""
        outputs, x = [], self.bottleneck(x)
        for block in self.decoder:
            x = block(x)
            outputs.append(x)
        return outputs, torch.zeros(())

    def loss(self, seen: Seen, *, step: int) -> Tensor:
        """See `Trainable`."""
        features, found, _ = self.compared(seen)
        mined: Tensor = self.mined(encoder_features=features, decoder_features=found, global_step=step)
        return mined


class InpNetwork(Reconstruction):
    """Every image is rebuilt from a few prototypes that are drawn from itself, which an anomaly is not among."""

    def __init__(self, *, prototypes: int) -> None:
        super().__init__()
        width, heads = vit.WIDTH, vit.HEADS
        self.prototypes = nn.Parameter(torch.randn(prototypes, width))
        self.gather = AggregationBlock(dim=width, num_heads=heads, mlp_ratio=4.0, qkv_bias=True, norm_layer=_NORM)
        self.bottleneck = DinomalyMLP(width, 4 * width, width, drop=0.0, bias=True, apply_input_dropout=False)
        self.decoder = nn.ModuleList(
            PrototypeBlock(dim=width, num_heads=heads, mlp_ratio=4.0, qkv_bias=True, norm_layer=_NORM)
            for _ in range(_BLOCKS)
        )
        self.mined = GlobalCosineHmAdaptiveLoss()
        self.start()

    def rebuilt(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """See `Reconstruction`; the second is how far patches are from their nearest prototype."""
        prototypes = self.gather(self.prototypes.expand(len(x), -1, -1), x)
        units = functional.normalize(x, dim=-1) @ functional.normalize(prototypes.float(), dim=-1).transpose(1, 2)
        coherence = (1 - units.float()).min(dim=2).values.mean()
        outputs, x = [], self.bottleneck(x)
        for block in self.decoder:
            x = block(x, prototypes)
            outputs.append(x)
        return outputs, coherence

    def loss(self, seen: Seen, *, step: int) -> Tensor:  # noqa: ARG002 - the same at every step
        """See `Trainable`."""
        features, found, coherence = self.compared(seen)
        mined: Tensor = self.mined(encoder_features=features, decoder_features=found, inp_loss=coherence)
        return mined


P = TypeVar("P", DinomalyParams, InpFormerParams)


class _Rebuilding(Trained[P]):
    backbone_name: ClassVar[str] = "dino-vits14"
    clip: ClassVar[float] = 0.1
    epsilon: ClassVar[float]

    @staticmethod
    def _layers(params: P) -> tuple[int, ...]:  # noqa: ARG004 - always the same
        return tuple(range(3, 11))

    @staticmethod
    def _arranged(stages: Sequence[Tensor]) -> Seen:
        blocks = torch.stack(tuple(stages), dim=1)
        groups = torch.stack([blocks[:, :4].mean(dim=1), blocks[:, 4:].mean(dim=1)], dim=1)
        return (groups.flatten(3).transpose(2, 3).contiguous(),)

    def _image_bytes(self) -> float:
        return 2.0 * 2 * vit.WIDTH * self._side() ** 2

    def _schedule(self, network: Trainable) -> Schedule:
        rate, steps = self._params.learning_rate, self._params.steps
        optimizer = StableAdamW(
            network.parameters(), lr=rate, betas=(0.9, 0.999), weight_decay=1e-4, amsgrad=True, eps=self.epsilon
        )
        warm = min(_WARM_UP, steps // 10)
        return optimizer, WarmCosineScheduler(
            optimizer, base_value=rate, final_value=rate / 10, total_iters=steps, warmup_iters=warm
        )


class Dinomaly(_Rebuilding[DinomalyParams]):
    """See the module."""

    name: ClassVar[str] = "dinomaly"
    parameters: ClassVar[type[base.Params]] = DinomalyParams
    noun: ClassVar[str] = "Dinomaly model"
    epsilon: ClassVar[float] = 1e-8

    def _build(self) -> Trainable:
        return DinomalyNetwork(dropout=self._params.dropout, steps=self._params.steps)


class InpFormer(_Rebuilding[InpFormerParams]):
    """See the module."""

    name: ClassVar[str] = "inp-former"
    parameters: ClassVar[type[base.Params]] = InpFormerParams
    noun: ClassVar[str] = "INP-Former model"
    epsilon: ClassVar[float] = 1e-10

    def _build(self) -> Trainable:
        return InpNetwork(prototypes=self._params.prototypes)


def _grid(tokens: Tensor) -> Tensor:
    """``(N, T, C)`` as ``(N, C, G, G)``."""
    side = isqrt(tokens.shape[1])
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
