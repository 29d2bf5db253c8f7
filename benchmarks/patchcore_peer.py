"""anomalib's Patchcore on a folder of MVTec's shape, on the CPU, with the weights that this machine has.

`benchmarks.memory_bank` runs it in a process of its own. It sees what ours sees: the same backbone and layers, pixels
scaled as the backbone wants, the same image size and share of patches; the rest is anomalib's own.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.images import NORMAL, listed
from benchmarks.local_weights import local_weights
from components.models import efficientnet

_LAYERS = ("blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6")  # timm's names of the stages
_BATCH = 32  # anomalib's default


class Peer:
    """Patchcore, its data and its engine.

    Args:
        root: Folder with train/good and test/KIND.
        size: Side of the images, pixels.
        stages: Of the backbone.
        ratio: Share of the patches that is kept.
        picks: Choose only so many patches by k-centre greedy, and fill the bank to its size with evenly spaced ones;
            0: no limit. The seconds that the other picks would have taken are then in `seconds_left_out`.
        folder: For what the engine writes.
    """

    def __init__(self, root: Path, *, size: int, stages: Sequence[int], ratio: float, picks: int, folder: Path) -> None:
        from anomalib.engine import Engine
        from anomalib.models import Patchcore
        from anomalib.pre_processing import PreProcessor
        from torchvision.transforms.v2 import Compose, Normalize, Resize

        scaled = Compose([Resize((size, size), antialias=True), Normalize([0.5] * 3, [0.5] * 3)])
        self._data = _data(root)
        with local_weights(folder, "efficientnet-lite0"):
            self._model: Any = Patchcore(
                backbone=efficientnet.ARCHITECTURE,
                layers=[_LAYERS[stage] for stage in stages],
                coreset_sampling_ratio=ratio,
                pre_processor=PreProcessor(transform=scaled),
                evaluator=False,
                visualizer=False,
            )
        self._engine = Engine(
            accelerator="cpu", devices=1, logger=False, default_root_dir=folder, enable_progress_bar=False,
            enable_model_summary=False, limit_val_batches=0,
        )  # fmt: skip
        self.seconds_left_out = 0.0
        if picks:
            self._limit(picks)

    def fit(self) -> None:
        """Remember a coreset of the patches of train/good."""
        self._engine.fit(self._model, datamodule=self._data)

    def scores(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Scores ``(N,)`` and whether each is an anomaly, of all of test."""
        batches: Any = self._engine.predict(self._model, datamodule=self._data, return_predictions=True)
        scores = np.concatenate([batch.pred_score.numpy().ravel() for batch in batches])
        return scores.astype(np.float64), np.concatenate([batch.gt_label.numpy().ravel() for batch in batches])

    def patches(self, paths: Sequence[Path]) -> NDArray[np.float32]:
        """Features ``(P, C)`` of all patches of the images."""
        import torch
        from anomalib.data.utils import read_image

        network = self._model.model
        network.train()
        network.feature_extractor.eval()
        with torch.no_grad():
            for start in range(0, len(paths), _BATCH):
                images = [read_image(path, as_tensor=True) for path in paths[start : start + _BATCH]]
                network(torch.stack([self._model.pre_processor.transform(image) for image in images]))
        return np.asarray(torch.vstack(network.embedding_store).numpy())

    @property
    def bank(self) -> NDArray[np.float32]:
        """``(M, C)``."""
        return np.asarray(self._model.model.memory_bank.numpy())

    def _limit(self, picks: int) -> None:
        from anomalib.models.components import KCenterGreedy
        from anomalib.models.image.patchcore import torch_model

        peer = self

        class Limited(KCenterGreedy):
            """Stops after some picks; each costs the same."""

            def select_coreset_idxs(self) -> list[int]:
                whole, self.coreset_size = self.coreset_size, min(picks, self.coreset_size)
                self.times: list[float] = []
                found: list[int] = super().select_coreset_idxs()
                each = (self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)
                peer.seconds_left_out = each * (whole - len(found))
                rest = np.setdiff1d(np.arange(self.n_observations), found)
                filled: list[int] = rest[np.linspace(0, len(rest) - 1, whole - len(found)).astype(int)].tolist()
                return found + filled

            def update_distances(self, cluster_center: Any) -> None:
                super().update_distances(cluster_center)
                self.times.append(time.perf_counter())

        vars(torch_model)["KCenterGreedy"] = Limited


def _data(root: Path) -> Any:
    from anomalib.data import Folder

    _, kinds = listed(root)
    normal = f"test/{NORMAL}" if NORMAL in kinds else None
    return Folder(
        name=root.name, root=root, normal_dir="train/good", normal_test_dir=normal,
        abnormal_dir=[f"test/{kind}" for kind in kinds if kind != NORMAL],
        test_split_mode="from_dir" if normal else "none",  # or it would take normal ones from training
        val_split_mode="none",
        train_batch_size=_BATCH, eval_batch_size=_BATCH, num_workers=0,
    )  # fmt: skip


def run(root: Path, *, size: int, stages: Sequence[int], ratio: float, picks: int) -> dict[str, Any]:
    """Figures of the peer, and its training patches and bank; see `benchmarks.memory_bank`."""
    from benchmarks.memory_bank import auroc_of, peak_mb, timed

    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(root, size=size, stages=stages, ratio=ratio, picks=picks, folder=Path(folder))
        fit_s, _ = timed(peer.fit)
        peer.scores()
        seconds, (scores, labels) = timed(peer.scores)
        found = {
            "fit_s": fit_s + peer.seconds_left_out,
            "images_per_s": len(scores) / seconds,
            "peak_mb": peak_mb(),
            "auroc": None if picks else auroc_of(scores, labels),
        }
        if picks:
            return found
        return {**found, "patches": peer.patches(listed(root)[0]), "bank": peer.bank}
