"""`draem`: a network rebuilds features of normal images from those of damaged ones; another sees what it had to mend.

After DRAEM (Zavrtanik, Kristan & Skočaj 2021, "DRAEM: A Discriminatively Trained Reconstruction Embedding for Surface
Anomaly Detection", ICCV), with two differences that let one processor train it in minutes. It works on a frozen
backbone's features instead of pixels, which need not be learned from nothing; and what damages an image is cut from
other training images, changed in colour, where the paper takes photographs of textures that no package carries.

It is trained on drawn anomalies and so knows what such look like: its figures on drawn ones say little about real ones.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ...core.ports import Image
from ..images import scaled
from ..on_backbone import numbers
from ..params import base
from ..params.zoo import DraemParams
from .parts import DiscriminativeSubNetwork, DraemLoss, ReconstructiveSubNetwork, SmoothedMap, generate_perlin_noise
from .trained import Schedule, Seen, Trainable, Trained

_MARKED = 0.5
"""Above which Perlin noise marks a place, as the paper's."""
_LEAST = 0.1
"""Share of what is pasted in a mixture with the image, at least."""
_GAINS = (0.3, 1.7)
"""Of each channel of what is pasted."""
_SMALLEST = 1e-6
_FADE, _FADES = 0.2, (0.8, 0.9)
"""Of the steps, after which the rate is multiplied by the first."""


class DraemNetwork(Trainable):
    """Both networks, over stages ``(N, C, h, w)``, finest first.

    In training it sees the stages of whole images, those of damaged ones, and where these are damaged, ``(N, S, S)``.
    """

    def __init__(self, *, channels: int, params: DraemParams) -> None:
        super().__init__()
        self.size = params.image_size
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, channels, 1, 1))
        width = params.width
        self.rebuilding = ReconstructiveSubNetwork(in_channels=channels, out_channels=channels, base_width=width)
        self.judging = DiscriminativeSubNetwork(in_channels=2 * channels, out_channels=2, base_width=width)
        self.smoothed = SmoothedMap(sigma=4)
        self.focal = DraemLoss().focal_loss

    def prepare(self, seen: Seen) -> None:
        """Learn each channel's mean and deviation over whole images."""
        moments = [torch.std_mean(stage.float(), dim=(0, 2, 3), keepdim=True) for stage in _whole(seen)]
        self.deviation = torch.cat([deviation for deviation, _ in moments], dim=1).clamp(min=_SMALLEST)
        self.mean = torch.cat([mean for _, mean in moments], dim=1)

    def features(self, stages: Seen) -> Tensor:
        """Stages joined on twice the finest one's grid, scaled."""
        shape = [2 * side for side in stages[0].shape[-2:]]
        large = [functional.interpolate(stage, shape, mode="bilinear") for stage in stages]
        return (torch.cat(large, dim=1) - self.mean) / self.deviation

    def loss(self, seen: Seen, *, step: int) -> Tensor:  # noqa: ARG002 - the same at every step
        """See `Trainable`; where the paper asks for structural similarity of pixels, features are to point one way."""
        whole, damaged = self.features(_whole(seen)), self.features(_damaged(seen))
        rebuilt = self.rebuilding(damaged)
        angles = 1 - functional.cosine_similarity(rebuilt.float(), whole, dim=1).mean()
        logits = self.judging(torch.cat([damaged, rebuilt], dim=1))
        marked = functional.adaptive_max_pool2d(seen[-1][:, None], logits.shape[-2:])[:, 0]
        found: Tensor = self.focal(logits.float(), marked.long())
        return functional.mse_loss(rebuilt.float(), whole) + angles + found

    def judge(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The highest of the smoothed map of logits, which do not saturate as the paper's probabilities do."""
        features = self.features(seen)
        logits = self.judging(torch.cat([features, self.rebuilding(features)], dim=1))
        heat: Tensor = self.smoothed(logits[:, 1:] - logits[:, :1], (self.size, self.size))[0, 0]
        return heat.max(), heat


class Draem(Trained[DraemParams]):
    """See the module."""

    name: ClassVar[str] = "draem"
    backbone_name: ClassVar[str] = "efficientnet-lite0"
    parameters: ClassVar[type[base.Params]] = DraemParams
    noun: ClassVar[str] = "DRAEM-like model"

    @staticmethod
    def _layers(params: DraemParams) -> tuple[int, ...]:
        return numbers(params.stages)

    def _build(self) -> Trainable:
        return DraemNetwork(channels=self.embed_size, params=self._params)

    def _studied(self, images: Sequence[Image]) -> Seen:
        """Each image `copies` times whole, damaged otherwise each time, and where."""
        side, copies = self._params.image_size, self._params.copies
        shown = [torch.from_numpy(scaled(image, height=side, width=side)).permute(2, 0, 1).float() for image in images]
        pairs = [_damage(one, shown) for _ in range(copies) for one in shown]
        damaged = [image.round().to(torch.uint8).permute(1, 2, 0).numpy() for image, _ in pairs]
        whole = tuple(stage.repeat(copies, 1, 1, 1) for stage in self._seen(images))
        return (*whole, *self._seen(damaged), torch.stack([marked for _, marked in pairs]))

    def _image_bytes(self) -> float:
        return self._params.copies * (2 * super()._image_bytes() + 2.0 * self._params.image_size**2)

    def _schedule(self, network: Trainable) -> Schedule:
        rate, steps = self._params.learning_rate, self._params.steps
        optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
        return optimizer, torch.optim.lr_scheduler.MultiStepLR(
            optimizer, milestones=[int(part * steps) for part in _FADES], gamma=_FADE
        )


def _whole(seen: Seen) -> Seen:
    return seen[: len(seen) // 2]


def _damaged(seen: Seen) -> Seen:
    return seen[len(seen) // 2 : -1]


def _damage(image: Tensor, others: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The image ``(3, S, S)``, values 0 to 255, with parts of another mixed in, and ones where ``(S, S)``."""
    size = image.shape[-1]
    noise = generate_perlin_noise(size, size, device=image.device)
    marked = (noise > min(_MARKED, 0.5 * float(noise.max()))).float()
    pasted = others[int(torch.randint(len(others), ()))]
    pasted = torch.roll(pasted, [int(shift) for shift in torch.randint(size, (2,))], dims=(1, 2))
    pasted = torch.rot90(pasted, int(torch.randint(4, ())), dims=(1, 2))
    low, high = _GAINS
    pasted = (pasted * (low + (high - low) * torch.rand(3, 1, 1))).clamp(0, 255)
    share = _LEAST + (1 - _LEAST) * torch.rand(())
    return image + marked * share * (pasted - image), marked
