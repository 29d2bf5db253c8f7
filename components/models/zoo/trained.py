"""Detectors whose network is trained in steps on what a frozen backbone sees of normal images.

The backbone runs once an image, not once a step: its features are kept, in half precision. Batches are drawn in epochs,
each in a random order of its own. A network is scored one image at a time on one thread, so that batches, threads and
other processes do not change a bit of a score.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from ...core.contracts import Scores
from ...core.errors import ModelError, UnavailableError
from ...core.ports import Batch, Image, Progress, Samples, batches, silent
from ...core.seeds import derive_seed
from ...core.subset import evenly_spaced
from ..backbones import Backbone
from ..images import flat_refusal, is_flat
from ..inference import lacks
from ..on_backbone import IMAGES_AT_ONCE, BackboneParams, OnBackbone, in_parts
from ..onnx_graph import OnnxGraph, Value
from ..parallel import one_thread
from ..params.base import Precision
from .reading import stacked
from .traced import traced

Seen = tuple[Tensor, ...]
"""What a network gets of N images: tensors ``(N, ...)``."""

_NETWORK = 400e6
"""Bytes of the largest network of the zoo, with its gradients and what its optimiser remembers."""
_STEP = 1200.0
"""Bytes of one step for each pixel of its images, for activations and their gradients; estimated from above."""

Schedule = tuple[torch.optim.Optimizer, LRScheduler | None]


class Trainable(nn.Module, ABC):
    """A network that says what to minimise, and once trained what is anomalous."""

    def prepare(self, seen: Seen) -> None:
        """Look at what the network will be trained on; before the first step."""

    @abstractmethod
    def loss(self, seen: Seen, *, step: int) -> Tensor:
        """Of a batch; `step` counts from 0."""

    @abstractmethod
    def judge(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Score ``()`` and map ``(H, W)`` of one image; higher is more anomalous."""


class _TrainedParams(BackboneParams, Protocol):
    @property
    def steps(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def max_images(self) -> int: ...

    @property
    def training(self) -> Literal["auto", "f32", "bf16"]: ...


P = TypeVar("P", bound=_TrainedParams)


class Trained(OnBackbone[P]):
    """See the module.

    Attributes:
        clip: Largest norm of the gradient; 0 leaves it alone.
    """

    batch_tolerance: ClassVar[float] = 0.0
    clip: ClassVar[float] = 0.0

    def __init__(self, params: P, *, backbone: Backbone | None = None) -> None:
        super().__init__(params, backbone=backbone)
        self._network: Trainable | None = None

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """Train on `samples`; see `components.core.ports.Detector`.

        Raises:
            ModelError: There are no images, each is of one flat colour, or the loss stopped being a number.
            UnavailableError: The processor lacks the precision that was asked for.
        """
        if len(samples) == 0:
            raise ModelError(f"A {self.noun} cannot be fitted on no images.", hint="Add normal images.")
        precision = self._precision()
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(derive_seed(seed, self.name))
            chosen = evenly_spaced(samples, most=self._params.max_images)
            seen = self._read(chosen, progress)
            network = self._build()
            network.prepare(seen)
            loss = self._train(network.train(), seen, progress, precision=precision)
        self._network = network.eval()
        self.facts = {
            "images_read": len(chosen), "steps": self._params.steps, "training": precision, "last_loss": loss,
        }  # fmt: skip

    def score(self, batch: Batch) -> Scores:
        """Scores ``(N,)`` and maps ``(N, H, W)`` at the network's resolution."""
        network = self._fitted()
        images = cast(Sequence[Image], batch)
        scores, maps = np.empty(len(images)), []
        with torch.inference_mode(), one_thread():
            parts = (self._seen(part) for part in in_parts(images))
            every = (tuple(t[n : n + 1] for t in part) for part in parts for n in range(len(part[0])))
            for place, one in enumerate(every):
                score, heat = network.judge(tuple(tensor.float() for tensor in one))
                scores[place] = float(score)
                maps.append(heat.numpy())
        side = self._params.image_size
        return Scores(image=scores, maps=np.stack(maps) if maps else np.empty((0, side, side), np.float32))

    @abstractmethod
    def _build(self) -> Trainable:
        """A new network."""

    def _seen(self, images: Sequence[Image]) -> Seen:
        """What the network gets of `images`."""
        return self._arranged(stacked(self._features(images)))

    @staticmethod
    def _arranged(stages: Sequence[Tensor]) -> Seen:
        """What the network gets of a backbone's `stages` ``(N, C, h, w)``."""
        return tuple(stages)

    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        return traced(graph, _Judging(self._fitted(), self._arranged), stages)

    def _studied(self, images: Sequence[Image]) -> Seen:
        """What the network is trained on of `images`; subclasses may show more of them."""
        return self._seen(images)

    @abstractmethod
    def _schedule(self, network: Trainable) -> Schedule:
        """What takes the steps, and how its rate changes."""

    def _image_bytes(self) -> float:
        """What is kept of one training image: its features in half precision."""
        side, strides = self._params.image_size, self._backbone.strides
        return sum(
            2.0 * channels * (side // stride) ** 2
            for channels, stride in zip(self._backbone.channels, strides, strict=True)
        )

    def _learned_bytes(self, images: int) -> float:
        """What is kept of the images, twice while it is put together, and a step's work."""
        work = _STEP * self._params.batch_size * self._params.image_size**2
        return 2 * min(images, self._params.max_images) * self._image_bytes() + work + _NETWORK

    def _read(self, samples: Samples, progress: Progress) -> Seen:
        parts: list[Seen] = []
        flat, done = True, 0
        for batch in batches(samples, size=IMAGES_AT_ONCE):
            images = cast(Sequence[Image], batch)
            flat = flat and is_flat(images)
            parts.append(tuple(t.half() if t.is_floating_point() else t for t in self._studied(images)))
            done += len(images)
            progress("reading features", done, len(samples))
        if flat:
            raise flat_refusal(len(samples))
        return tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))

    def _precision(self) -> Precision:
        """What training computes in: a processor that lacks bf16 imitates it, many times slower than f32."""
        chosen = self._params.training
        if chosen == "auto":
            return "f32" if lacks("bf16") else "bf16"
        if reason := lacks(chosen):
            raise UnavailableError(reason, hint="Use training: auto or f32.")
        return chosen

    def _train(self, network: Trainable, seen: Seen, progress: Progress, *, precision: Precision) -> float:
        """The last step's loss."""
        optimizer, scheduler = self._schedule(network)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        steps = self._params.steps
        for step, chosen in enumerate(_draws(len(seen[0]), size=self._params.batch_size, steps=steps)):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                loss = network.loss(tuple(tensor[chosen].float() for tensor in seen), step=step)
            if not torch.isfinite(loss):
                raise ModelError(
                    f"Training of {self.name} diverged at step {step + 1} of {steps}.",
                    hint="Lower the learning rate.",
                )
            optimizer.zero_grad()
            loss.backward()
            if self.clip:
                nn.utils.clip_grad_norm_(trained, self.clip)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            progress("training", step + 1, steps)
        return float(loss.item())

    def _learned(self) -> Mapping[str, NDArray[Any]]:
        return {f"network.{name}": tensor.numpy() for name, tensor in self._fitted().state_dict().items()}

    def _restore(self, learned: Mapping[str, NDArray[Any]]) -> bool:
        with torch.random.fork_rng(devices=[]):
            network = self._build()
        tensors = {name.removeprefix("network."): torch.from_numpy(array) for name, array in learned.items()}
        try:
            network.load_state_dict(tensors)
        except RuntimeError:
            return False
        self._network = network.eval()
        return True

    def _fitted(self) -> Trainable:
        if self._network is None:
            raise self._not_fitted()
        return self._network


class _Judging(nn.Module):
    """What `Trained.score` does with an image's stages, as one network."""

    def __init__(self, network: Trainable, arranged: Callable[[Sequence[Tensor]], Seen]) -> None:
        super().__init__()
        self._network, self._arranged = network, arranged

    def forward(self, *stages: Tensor) -> tuple[Tensor, Tensor]:
        """Score ``(1,)`` and map ``(1, H, W)``."""
        score, heat = self._network.judge(self._arranged(stages))
        return score.reshape(1), heat[None]


def _draws(count: int, *, size: int, steps: int) -> Iterator[Tensor]:
    """Indices of each step's batch: every image once, in a random order, then again."""
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(count)])
        yield waiting[:size]
        waiting = waiting[size:]
