"""Detectors in a process of their own: what of torch they load, what saved ones say, and whom they tell."""

import json
import sys
from pathlib import Path

import numpy as np

from components.core.contracts import Column, TableSchema
from components.models import registry
from flows.runtime import garbage

REACHED: list[str] = []
"""Other machines that were asked for, and forks: of a process with threads one may wait for ever."""


def watch(event: str, arguments: tuple) -> None:
    if event in ("socket.getaddrinfo", "socket.connect", "os.fork"):
        REACHED.append(f"{event} {arguments}")


class Noise:
    """A few samples in which nothing is to be found."""

    def __init__(self, *shape: int) -> None:
        self.data = np.random.default_rng(0).integers(0, 255, shape)
        self.labels, self.ids = np.zeros(len(self.data), np.int8), [str(number) for number in range(len(self.data))]

    def __len__(self) -> int:
        return len(self.data)

    def take(self, indices):
        if self.data.ndim == 3:
            return self.data[list(indices)].astype(float)
        return [self.data[index].astype(np.uint8) for index in indices]


def memories(folder: Path) -> None:
    """Fit, save, load and score what needs no torch."""
    images = Noise(4, 64, 64, 3)
    for name, size in (("memory-bank", 64), ("gaussian", 64), ("dino-memory", 112)):
        detector = registry.create(name, {"image_size": size}, schema=None)
        detector.fit(images, seed=0)
        detector.save(folder / name)
        registry.load(folder / name).score(images.take([0, 1]))


def table() -> None:
    """Fit a network for tables, which needs torch but not its compiler."""
    schema = TableSchema(features=tuple(Column(name=name, kind="numeric") for name in "ab"))
    detector = registry.create("deepsad", {"epochs": 2, "pretrain_epochs": 2}, schema=schema)
    detector.fit(Noise(20, 1, 2), seed=0)


def score(folder: Path, sample: Path) -> float:
    """What the detector in `folder` says of the one sample."""
    detector, x = registry.load(folder), np.load(sample)
    return float(detector.score([x] if detector.modality == "image" else x).image[0])


if __name__ == "__main__":
    garbage.look_rarely()
    sys.addaudithook(watch)
    samples, made, *saved = map(Path, sys.argv[1:])
    memories(made)
    torch = "torch" in sys.modules
    table()
    compiler = "torch._dynamo" in sys.modules
    scores = {folder.name: score(folder, samples / f"{folder.name}.npy") for folder in saved}
    print(json.dumps({"torch": torch, "compiler": compiler, "scores": scores, "reached": REACHED}))  # noqa: T201
    garbage.look_no_more()
