"""DeepSAD for tables: normal samples are drawn to a centre, labelled anomalies pushed away from it.

Source: Ruff et al. 2020, "Deep semi-supervised anomaly detection", equation 7. Without labels it is Deep SVDD (Ruff et
al. 2018). The paper's score is the distance to the centre; ours is a mean of it and of the distance to remembered
normal samples, which know what a centre cannot: that normal samples lie in several places.
`sad_network` says what is computed, `sad_training` how it is trained and how that departs from the paper, `sad_trust`
how much the centre counts.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.contracts import Calibration, Modality, Scores, TableSchema
from ..core.errors import ModelError
from ..core.network import WholeNetwork
from ..core.ports import Batch, Progress, Samples, Windows, silent
from ..core.seeds import derive_seed
from . import sad_heads, table_heads
from .baselines import SAME
from .bundle import read_bundle, write_bundle
from .encoding import TableEncoder
from .on_table import occlusion, training_windows
from .onnx_graph import OnnxGraph
from .parallel import each, one_thread, processors
from .params.tables import DeepSADParams
from .sad_network import (
    ROWS,
    ConvolutionalMembers,
    Decoder,
    Members,
    Networks,
    Scorer,
    View,
    sharpness_of,
    stands_out,
)
from .sad_training import draw_masks, pretrain, train
from .sad_trust import Folds, trusted

HELD_OUT = 0.1
"""Share of the normal training samples that stops the training and says what is usual."""

REMEMBERED = 0.9
"""Share of the normal training samples, the nearer ones to the centre, that may be remembered: among the others may be
unknown anomalies, which would vouch for each other. Fewer would forget a machine's rarer modes."""

PASSES = 16
"""Stochastic passes that the uncertainty is taken over."""

PLAIN_ROWS = 4 * ROWS
"""Samples whose hidden units are held at once, for each processor: bounds memory."""

_LATER = {"members.bias", "trust", "view.sharpening", "sharpness"}
"""Tensors that earlier releases did not write."""

_ALWAYS = {
    "view.mean", "view.whitening", "members.first", "members.second",
    "centre", "usual_distance", "remembered", "usual_near", "masks",
}  # fmt: skip


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
        self._scorer: Scorer | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter."""
        return self._params.model_dump()

    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """See `Detector.fit`; labelled anomalies among `samples` are learned from."""
        limit = self._params.max_samples
        windows, labels, overlap = training_windows(samples, schema=self._schema, limit=limit, seed=seed)
        self._encoder = TableEncoder.fit(windows[labels == 0], self._schema, features=self._params.features)
        features = torch.from_numpy(self._encoder.encode(windows))
        normal, anomalous = (features[torch.from_numpy(chosen)] for chosen in (labels != 1, labels == 1))
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(derive_seed(seed, "deepsad"))
            encoder = self._encoder
            view = View.of(normal, rows=encoder.rows, overlap=overlap, gaps=encoder.gaps)
            self._scorer = self._trained(encoder, view, normal, anomalous, progress)

    def _trained(
        self, encoder: TableEncoder, view: View, normal: Tensor, anomalous: Tensor, progress: Progress
    ) -> Scorer:
        params = self._params
        seen = view(normal)[torch.randperm(len(normal))]
        size = max(1, round(HELD_OUT * len(seen)))
        held, kept = view.inputs(seen[:size]), view.inputs(seen[size:])
        members, decoder = self._built(encoder, kept.shape[1], biased=len(anomalous) > 0)
        pretrain(members, decoder, normal=kept.float(), held=held.float(), params=params, progress=progress)
        strange = view(anomalous)
        folds = Folds(members=members.count, anomalies=len(strange))
        centre = train(
            members,
            normal=kept.float(),
            anomalous=view.inputs(strange).float(),
            folds=folds,
            held=held.float(),
            params=params,
            progress=progress,
        )
        masks = [draw_masks(members, 1, rate=params.dropout)[:, 0] for _ in range(PASSES if params.dropout else 0)]
        members.double()
        centre = centre.double()
        parts = self._parts(view, members, centre, held=seen[:size], kept=seen[size:], strange=strange, folds=folds)
        parts["masks"] = torch.stack(masks).double() if masks else torch.empty(0, dtype=torch.double)
        return Scorer(view, members, parts=parts, neighbours=params.neighbours).requires_grad_(False).eval()

    def _parts(
        self,
        view: View,
        members: Networks,
        centre: Tensor,
        *,
        held: Tensor,
        kept: Tensor,
        strange: Tensor,
        folds: Folds,
    ) -> dict[str, Tensor]:
        """What a scorer takes beside the networks, from held-out, learned and anomalous samples as `view` sees them."""

        def apart(seen: Tensor) -> Tensor:
            return _distances(members, centre, view.inputs(seen))

        held_apart = apart(held)
        usual = torch.stack([_usual(one) for one in held_apart])[:, None]
        mean = (apart(kept) / usual).mean(dim=0)
        remembered = view.memory(kept[mean <= torch.quantile(mean, REMEMBERED)][: self._params.memory])
        near = view.nearest(held, remembered, neighbours=self._params.neighbours)
        # Where rows are the same, their distance is what the product rounded, and would be the unit of all others.
        usual_near = torch.stack([_usual(one.where(one > SAME, 0.0)) for one in near.T])
        sharpness = sharpness_of(remembered.split(view.widths, dim=1))
        strange_near = view.nearest(strange, remembered, neighbours=self._params.neighbours)
        trust = trusted(
            normal=(held_apart / usual, stands_out(near / usual_near, sharpness)),
            strange=(apart(strange) / usual, stands_out(strange_near / usual_near, sharpness)),
            folds=folds,
        )
        return {
            "centre": centre,
            "usual_distance": usual[:, 0],
            "remembered": remembered,
            "usual_near": usual_near,
            "sharpness": sharpness,
            "trust": torch.tensor(trust, dtype=torch.double),
        }

    def _built(self, encoder: TableEncoder, inputs: int, *, biased: bool = False) -> tuple[Networks, Decoder]:
        count, hidden, latent = self._params.seeds, self._params.hidden, self._params.latent_dim
        decoder = Decoder(members=count, inputs=inputs, hidden=hidden, latent=latent)
        if not encoder.rows:
            return Members(members=count, inputs=inputs, hidden=hidden, latent=latent, biased=biased), decoder
        window = encoder.table.window
        columns = encoder.rows // window
        shape = {"members": count, "columns": columns, "window": window, "hidden": hidden, "latent": latent}
        return ConvolutionalMembers(**shape, biased=biased), decoder

    def score(self, batch: Batch) -> Scores:
        """See `Detector.score`; in double precision, so that batches do not matter. A usual sample scores about 1."""
        assert isinstance(batch, np.ndarray)
        encoder, scorer = self._fitted()
        with torch.inference_mode(), one_thread():
            scores, spread = scorer(torch.from_numpy(encoder.encode(batch)))
        # Rounding to single precision takes away what the order of additions left in the last digits.
        return Scores(
            image=scores.float().double().numpy(),
            uncertainty=spread.float().double().numpy() if len(scorer.masks) else None,
        )

    def plain_scores(self, batch: Batch) -> NDArray[np.float64]:
        """See `PlainScores`."""
        assert isinstance(batch, np.ndarray)
        encoder, scorer = self._fitted()

        def scored(part: Windows) -> Tensor:
            with torch.inference_mode():
                return scorer.plain(torch.from_numpy(encoder.encode(part)))

        parts = np.array_split(batch, max(1, min(processors(), len(batch) // ROWS), -(-len(batch) // PLAIN_ROWS)))
        with one_thread():  # of which new threads learn how many to use, too
            scores = torch.cat(each(scored, parts))
        return np.asarray(scores.float().double().numpy())

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """``(N, W, D)``: by how much the score falls when a column takes its training median, shared over its rows."""
        assert isinstance(batch, np.ndarray)
        encoder, _ = self._fitted()
        return occlusion(self.plain_scores, batch, usual=encoder.medians)

    def as_network(self) -> WholeNetwork:
        """See `components.core.ports.Detector`."""
        encoder, scorer = self._fitted()
        graph = OnnxGraph()
        graph.head()
        outputs = sad_heads.scores(graph, scorer, table_heads.encoded(graph, encoder))
        for name, value in outputs.items():
            graph.output(name, value)
        preparation = table_heads.preparation(encoder)
        return WholeNetwork(onnx=graph.serialized(), outputs=tuple(outputs), preparation=preparation)

    def save(self, directory: Path) -> None:
        """See `Detector.save`."""
        encoder, scorer = self._fitted()
        write_bundle(
            directory,
            name=self.name,
            params=self.params,
            state={"encoder": encoder.model_dump(mode="json")},
            tensors={name: tensor.numpy() for name, tensor in scorer.state_dict().items()},
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> "DeepSAD":
        """See `Detector.load`."""
        bundle = read_bundle(directory)
        tensors = {name: torch.tensor(array) for name, array in bundle.tensors.items()}
        try:
            encoder = TableEncoder.model_validate(bundle.header.state["encoder"])
            detector = cls(DeepSADParams.model_validate(bundle.header.params), schema=encoder.table)
            view = View(*(tensors[f"view.{part}"] for part in ("mean", "whitening", "sharpening")), rows=encoder.rows)
            members, _ = detector._built(encoder, encoder.rows or sum(view.whitening.shape))
            scorer = Scorer(view, members.double(), parts=tensors, neighbours=detector._params.neighbours)
            scorer.load_state_dict(tensors)
        except (KeyError, ValueError, RuntimeError) as error:
            if set(tensors) >= _ALWAYS and not set(tensors) >= _LATER:
                raise ModelError(
                    f"The {cls.name} model in {directory} was made by an earlier release.", hint="Retrain the line."
                ) from error
            raise ModelError(f"{directory} does not hold a whole {cls.name} model.", hint="Restore it.") from error
        detector._encoder, detector._scorer = encoder, scorer.requires_grad_(False).eval()
        detector.calibration = bundle.header.calibration
        return detector

    def _fitted(self) -> tuple[TableEncoder, Scorer]:
        if self._encoder is None or self._scorer is None:
            raise ModelError(f"{self.name} is not fitted.", hint="Call fit first.")
        return self._encoder, self._scorer


def _distances(members: Networks, centre: Tensor, inputs: Tensor) -> Tensor:
    """``(S, N)``."""
    with torch.no_grad():
        found: Tensor = (members(inputs) - centre).square().sum(dim=2).sqrt()
    return found


def _usual(values: Tensor) -> Tensor:
    """Median of ``(N,)``, or their mean where most are 0, or 1 where all are."""
    found = values.median()
    found = found if found > 0 else values.mean()
    return found if found > 0 else torch.ones_like(found)
