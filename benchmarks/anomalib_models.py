"""anomalib's models as a peer: fitted and scored by its own Engine, with pretrained weights from this machine."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from benchmarks.local_weights import local_weights
from components.core.ports import Samples
from components.models import efficientnet, vit
from components.models.params.zoo import (
    DinomalyParams,
    DraemParams,
    InpFormerParams,
    PadimParams,
    StfpmParams,
    SuperSimpleNetParams,
)

_LITE = {"backbone": efficientnet.ARCHITECTURE}
_MIDDLE = {"layers": ["blocks.2", "blocks.4"]}  # strides 8 and 16
_BATCH = 4

PEERS: Mapping[str, tuple[str, dict[str, Any], Any]] = {
    "patchcore": ("Patchcore", {**_LITE, **_MIDDLE, "coreset_sampling_ratio": 0.02}, PadimParams()),
    "padim": ("Padim", {**_LITE, **_MIDDLE, "n_features": 100}, PadimParams()),
    "stfpm": ("Stfpm", {**_LITE, "layers": ["blocks.1", "blocks.2", "blocks.4"]}, StfpmParams()),
    "supersimplenet": ("Supersimplenet", {**_LITE, **_MIDDLE}, SuperSimpleNetParams()),
    "draem": ("Draem", {}, DraemParams()),
    "dinomaly": ("Dinomaly", {"encoder_name": vit.ARCHITECTURE}, DinomalyParams()),
    "inp-former": ("InpFormer", {"encoder_name": vit.ARCHITECTURE}, InpFormerParams()),
}
"""By our names: its class, how it is made, and ours of that name, whose image size and steps it gets.

Patchcore's 2 % coreset is that of `memory-bank`; anomalib's 10 % would take its greedy search an hour.
"""


def fitted_peer(name: str, train: Samples, *, seed: int) -> Callable[[Samples], NDArray[np.float64]]:
    """The peer of that name, fitted on `train`; what is returned scores other samples."""
    import torch
    from anomalib import models
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from lightning import seed_everything

    kind, made, own = PEERS[name]
    cls = getattr(models, kind)
    steps = getattr(own, "steps", -1)
    with (
        tempfile.TemporaryDirectory(prefix="linewright-zoo-") as made_for,
        _quiet(),
        local_weights(Path(made_for), "efficientnet-lite0", "dino-vits14"),
        torch.random.fork_rng(),
    ):
        folder = Path(made_for)
        normal = folder / "train" / "good"
        _write(train, normal)
        seed_everything(seed, verbose=False)
        off = {"post_processor": False, "evaluator": False, "visualizer": False}
        # Draem would download a set of textures: it cuts its damage from the training images instead, as ours does.
        textures = {"dtd_dir": normal} if kind == "Draem" else {}
        model = cls(**made, **textures, **off, pre_processor=_shown(cls, own.image_size))
        engine = Engine(
            default_root_dir=folder / "runs", accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
            enable_model_summary=False, max_steps=steps, max_epochs=1 if steps < 0 else -1, limit_val_batches=0,
        )  # fmt: skip
        data = Folder(
            name="train", root=folder / "train", normal_dir="good", train_batch_size=_BATCH, eval_batch_size=_BATCH,
            num_workers=0, test_split_mode="none", val_split_mode="none",
        )  # fmt: skip
        data.setup()
        engine.fit(model, train_dataloaders=data.train_dataloader())
    model.eval()
    return lambda samples: _scores(model, samples)


def _shown(cls: Any, size: int) -> Any:
    """Its own preprocessing at `size`, without the crop that would hide the border from the peer alone."""
    if cls.__name__ == "Patchcore":
        return cls.configure_pre_processor((size, size), (size, size))
    return (
        cls.configure_pre_processor((size, size), size)
        if "encoder_name" in cls.__init__.__annotations__
        else cls.configure_pre_processor((size, size))
    )


def _scores(model: Any, samples: Samples) -> NDArray[np.float64]:
    """Its own scores by its own preprocessing, one image at a time as sizes differ."""
    import torch

    scores = []
    with torch.inference_mode():
        for index in range(len(samples)):
            image = torch.from_numpy(np.array(samples.take([index])[0])).permute(2, 0, 1)[None] / 255
            scores.append(float(model(image).pred_score))
    return np.array(scores)


def _write(samples: Samples, folder: Path) -> None:
    """As PNG files, whose names sort in the samples' order."""
    folder.mkdir(parents=True)
    for index in range(len(samples)):
        Pictures.fromarray(np.asarray(samples.take([index])[0])).save(folder / f"{index:06}.png")


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
