"""Backbones' weights for anomalib, which would download them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from components.models import efficientnet, vit
from components.models.weights import find_weights, read_weights

_ARCHITECTURES = {"efficientnet-lite0": efficientnet.ARCHITECTURE, "dino-vits14": vit.ARCHITECTURE}


@contextmanager
def local_weights(folder: Path, *names: str) -> Iterator[None]:
    """Within it timm takes the weights of these backbones of ours from files, which are written to `folder`."""
    from safetensors.numpy import save_file
    from timm.models import _registry

    changed = []
    for name in names:
        tensors, _ = read_weights(name, find_weights(name))
        path = folder / f"{name}.safetensors"
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, path)
        for key, config in _registry._model_pretrained_cfgs.items():
            if key.partition(".")[0] == _ARCHITECTURES[name]:
                changed.append((config, config.file))
                config.file = str(path)
    try:
        yield
    finally:
        for config, file in changed:
            config.file = file
