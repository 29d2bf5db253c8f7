"""DeepSAD for tables: normal samples are drawn to a centre, labelled anomalies pushed away from it.

Source: Ruff et al. 2020, "Deep semi-supervised anomaly detection", equation 7. Without labels it is Deep SVDD (Ruff et
al. 2018). The score is the distance to the centre.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.contracts import Calibration, Modality, Scores, TableSchema
from ..core.errors import ModelError
from ..core.ports import Batch, Progress, Samples, Windows, silent
from ..core.seeds import derive_seed, generator
from .bundle import read_bundle, write_bundle
from .encoding import TableEncoder
from .parallel import one_thread
from .params.tables import DeepSADParams

_NEAR_ZERO = 0.1
"""Coordinates of the centre are kept so far from 0, where a bias-free network could collapse (Ruff et al. 2018)."""
_EPSILON = 1e-6


class DeepSAD:
    """See the module. Make it with parameters and the table's schema."""

    name: ClassVar[str] = "deepsad"
    modality: ClassVar[Modality] = Modality.TABLE
    uses_labels: ClassVar[bool] = True
    batch_tolerance: ClassVar[float] = 1e-6

    def __init__(self, params: DeepSADParams, *, schema: TableSchema) -> None:
        self._params, self._schema = params, schema
        self.calibration: Calibration | None = None
        self._encoder: TableEncoder | None = None
        self._network: nn.Sequential | None = None
        self._centre: Tensor | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter."""
        return self._params.model_dump()

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """See `Detector.fit`; labelled anomalies among `samples` are learned from."""
        windows, labels = self._read(samples, seed)
        self._encoder = TableEncoder.fit(windows[labels == 0], self._schema)
        data = torch.from_numpy(self._encoder.encode(windows)).float()
        anomalous = torch.from_numpy(labels == 1)
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(derive_seed(seed, "deepsad"))
            encoder, decoder = self._build(data.shape[1])
            self._pretrain(encoder, decoder, data[~anomalous], progress)
            self._centre = _centre(encoder, data[~anomalous])
            self._train(encoder, data, anomalous, progress)
        self._network = encoder.double().eval()

    def _read(self, samples: Samples, seed: int) -> tuple[Windows, NDArray[np.int8]]:
        labels = np.asarray(samples.labels)
        if not (labels == 0).any():
            raise ModelError(f"There is no normal sample among {len(labels)}.", hint="Add normal samples.")
        chosen = np.arange(len(labels))
        if len(chosen) > self._params.max_samples:
            chosen = np.sort(generator(seed, "sample").choice(chosen, self._params.max_samples, replace=False))
        return cast(Windows, samples.take(cast(Sequence[int], chosen))), labels[chosen]

    def _build(self, features: int) -> tuple[nn.Sequential, nn.Sequential]:
        hidden, latent = self._params.hidden, self._params.latent_dim
        encoder = nn.Sequential(
            nn.Linear(features, hidden, bias=False), nn.LeakyReLU(), nn.Linear(hidden, latent, bias=False)
        )
        decoder = nn.Sequential(nn.Linear(latent, hidden), nn.LeakyReLU(), nn.Linear(hidden, features))
        return encoder, decoder

    def _pretrain(self, encoder: nn.Module, decoder: nn.Module, data: Tensor, progress: Progress) -> None:
        both = nn.Sequential(encoder, decoder)
        optimizer = torch.optim.AdamW(both.parameters(), lr=self._params.learning_rate)
        for epoch in range(self._params.pretrain_epochs):
            for batch in self._batches(len(data)):
                optimizer.zero_grad()
                nn.functional.mse_loss(both(data[batch]), data[batch]).backward()
                optimizer.step()
            progress("pre-training", epoch + 1, self._params.pretrain_epochs)

    def _train(self, encoder: nn.Module, data: Tensor, anomalous: Tensor, progress: Progress) -> None:
        assert self._centre is not None
        rate, decay = self._params.learning_rate, self._params.weight_decay
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=rate, weight_decay=decay)
        for epoch in range(self._params.epochs):
            for batch in self._batches(len(data)):
                distance = (encoder(data[batch]) - self._centre).square().sum(dim=1)
                loss = torch.where(anomalous[batch], self._params.eta / (distance + _EPSILON), distance).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            progress("training", epoch + 1, self._params.epochs)

    def _batches(self, count: int) -> Iterator[Tensor]:
        yield from torch.randperm(count).split(self._params.batch_size)

    def score(self, batch: Batch) -> Scores:
        """See `Detector.score`; distances to the centre, in double precision so that batches do not matter."""
        encoder, network, centre = self._fitted()
        data = torch.from_numpy(encoder.encode(cast(Windows, batch)))
        with torch.inference_mode():
            distance = (network(data) - centre.double()).square().sum(dim=1).sqrt()
        # Rounding to single precision takes away what the order of additions left in the last digits.
        return Scores(image=distance.float().double().numpy())

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """``(N, W, D)``: by how much the score falls when a column takes its training median, shared over its rows."""
        windows = cast(Windows, batch)
        encoder, _, _ = self._fitted()
        full = self.score(windows).image
        shares = np.zeros(windows.shape, dtype=np.float32)
        for place in range(windows.shape[2]):
            usual = windows.copy()
            usual[:, :, place] = encoder.medians[place]
            shares[:, :, place] = ((full - self.score(usual).image) / windows.shape[1])[:, None]
        return shares

    def save(self, directory: Path) -> None:
        """See `Detector.save`."""
        encoder, network, centre = self._fitted()
        write_bundle(
            directory,
            name=self.name,
            params=self.params,
            state={"encoder": encoder.model_dump(mode="json")},
            tensors={"centre": centre, **{f"network.{key}": value for key, value in network.state_dict().items()}},
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> "DeepSAD":
        """See `Detector.load`."""
        bundle = read_bundle(directory)
        try:
            encoder = TableEncoder.model_validate(bundle.header.state["encoder"])
            detector = cls(DeepSADParams.model_validate(bundle.header.params), schema=encoder.table)
            network, _ = detector._build(len(encoder.centre))
            weights = {key[8:]: value for key, value in bundle.tensors.items() if key.startswith("network.")}
            network.double().load_state_dict(weights)
            detector._centre = bundle.tensors["centre"]
        except (KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"{directory} does not hold a whole {cls.name} model.", hint="Restore it.") from error
        detector._encoder, detector._network = encoder, network.eval()
        detector.calibration = bundle.header.calibration
        return detector

    def _fitted(self) -> tuple[TableEncoder, nn.Sequential, Tensor]:
        if self._encoder is None or self._network is None or self._centre is None:
            raise ModelError(f"{self.name} is not fitted.", hint="Call fit first.")
        return self._encoder, self._network, self._centre


def _centre(encoder: nn.Module, data: Tensor) -> Tensor:
    with torch.inference_mode():
        centre = encoder(data).mean(dim=0)
    sign = torch.where(centre < 0, -1.0, 1.0)
    centre = torch.where(centre.abs() < _NEAR_ZERO, _NEAR_ZERO * sign, centre)
    return centre.clone()
