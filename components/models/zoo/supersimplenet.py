"""`supersimplenet`: a small network that tells features of normal images from the same with noise in places.

Rolih, Fučka & Skočaj 2024, "SuperSimpleNet: Unifying Unsupervised and Supervised Learning for Fast and Reliable Surface
Defect Detection", ICPR; the successor of SimpleNet (Liu et al., CVPR 2023). The authors' noise has a deviation of 0.015
on the features of one network; here each channel is first scaled to a deviation of 1 among the training images, so that
`noise` means the same on any backbone. Maps and scores are logits, which do not saturate as the paper's sigmoid does.
The classification head that scores an image in the paper needs many steps; SimpleNet's score, the highest of the map,
needs few.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ..on_backbone import numbers
from ..params import base
from ..params.zoo import SuperSimpleNetParams
from .parts import AnomalyGenerator, FeatureAdapter, SegmentationDetectionModule, SmoothedMap, SSNLoss
from .trained import Schedule, Seen, Trainable, Trained

_PERLIN = 0.2
"""Above which Perlin noise marks a place, anomalib's default."""
_FADES, _FADE = (0.8, 0.9), 0.4
"""Of the steps, after which the rate is multiplied by the second."""
_SMALLEST = 1e-6


class SuperSimpleNetwork(Trainable):
    """Adaptor, segmentation head and classification head over stages ``(N, C, h, w)``, finest first."""

    def __init__(self, *, channels: int, params: SuperSimpleNetParams) -> None:
        super().__init__()
        self.size, self.by_head = params.image_size, params.score == "head"
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, channels, 1, 1))
        self.adaptor = FeatureAdapter(channels)
        self.heads = SegmentationDetectionModule(channel_dim=channels, stop_grad=True)
        self.generator = AnomalyGenerator(noise_mean=0, noise_std=params.noise, threshold=_PERLIN)
        self.smoothed = SmoothedMap(sigma=4)
        self.measure = SSNLoss()

    def prepare(self, seen: Seen) -> None:
        """Learn each channel's mean and deviation."""
        moments = [torch.std_mean(stage.float(), dim=(0, 2, 3), keepdim=True) for stage in seen]
        self.deviation = torch.cat([deviation for deviation, _ in moments], dim=1).clamp(min=_SMALLEST)
        self.mean = torch.cat([mean for _, mean in moments], dim=1)

    def features(self, seen: Seen) -> Tensor:
        """Stages joined on twice the finest one's grid, averaged over 3 x 3 places, scaled."""
        shape = [2 * side for side in seen[0].shape[-2:]]
        large = [functional.interpolate(stage, shape, mode="bilinear") for stage in seen]
        return (functional.avg_pool2d(torch.cat(large, dim=1), 3, 1, 1) - self.mean) / self.deviation

    def loss(self, seen: Seen, *, step: int) -> Tensor:  # noqa: ARG002 - the same at every step
        """See `Trainable`: each image counts twice, with noise of its own."""
        features = self.features(seen)
        clean = torch.zeros_like(features[:, :1])
        noisy, adapted, masks, labels = self.generator(
            input_features=features, adapted_features=self.adaptor(features), masks=clean, labels=clean[:, 0, 0, 0]
        )
        heat, scores = self.heads(seg_features=adapted, cls_features=noisy)
        found: Tensor = self.measure(
            pred_map=heat.float(), pred_score=scores.float(), target_mask=masks, target_label=labels
        )
        return found

    def judge(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The highest of the map, or the classification head's logit; the map is the segmentation head's, smoothed."""
        features = self.features(seen)
        heat, scores = self.heads(seg_features=self.adaptor(features), cls_features=features)
        smooth = self.smoothed(heat, (self.size, self.size))[0, 0]
        return scores[0] if self.by_head else smooth.max(), smooth


class SuperSimpleNet(Trained[SuperSimpleNetParams]):
    """See the module."""

    name: ClassVar[str] = "supersimplenet"
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = SuperSimpleNetParams
    noun: ClassVar[str] = "SuperSimpleNet"

    @staticmethod
    def _layers(params: SuperSimpleNetParams) -> tuple[int, ...]:
        return numbers(params.stages)

    def _build(self) -> Trainable:
        return SuperSimpleNetwork(channels=self.embed_size, params=self._params)

    def _schedule(self, network: Trainable) -> Schedule:
        assert isinstance(network, SuperSimpleNetwork)
        rate, steps = self._params.learning_rate, self._params.steps
        groups = [
            {"params": network.adaptor.parameters(), "lr": rate / 2},
            {"params": network.heads.parameters(), "lr": rate, "weight_decay": 1e-5},
        ]
        optimizer = torch.optim.AdamW(groups)
        return optimizer, torch.optim.lr_scheduler.MultiStepLR(
            optimizer, milestones=[int(part * steps) for part in _FADES], gamma=_FADE
        )
