"""How DeepSAD's networks are trained: an autoencoder first, then equation 7 of Ruff et al. 2020.

Departures from the paper, each for tables of a few hundred to some ten thousand rows:

- distances are divided by their median before training, so that `eta` means the same for any data;
- where no anomaly is labelled, the largest quarter of a batch's normal distances counts as its border only, since
  unknown ones are among them;
- a few labelled anomalies weigh as if they were a twentieth of the samples;
- their loss is the cross-entropy of Ruff et al. 2020 b ("Rethinking assumptions in deep anomaly detection", equation
  4), -log(1 - exp(-distance)), which no longer pushes what is far; centre and biases learn from them too;
- of enough of them each network leaves out some of its own, see `sad_trust`;
- the learning rate falls along a cosine; training stops when held-out samples no longer gain, and the best weights are
  kept.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..core.ports import Progress
from .descent import descend
from .params.tables import DeepSADParams
from .sad_network import Decoder, Networks
from .sad_trust import Folds

TRUSTED = 0.75
"""Quantile of a batch's normal distances beyond which they pull no further: the others may be unknown anomalies. At 0.9
a close group of a twelfth of the training samples was drawn in with the rest. With labelled anomalies all pull: who is
let off could not be told from them."""

ANOMALIES = 32
"""Labelled anomalies in a batch at most; they are drawn anew for each."""

LEAST_SHARE = 0.05
"""Of all samples that labelled anomalies count as, however few they are."""

LEAST_STEPS, MOST_STEPS = 8, 100
"""Steps of an epoch: small sets get smaller batches, large ones larger ones than `batch_size`."""

_EPSILON = 1e-6


def pretrain(
    members: Networks, decoder: Decoder, *, normal: Tensor, held: Tensor, params: DeepSADParams, progress: Progress
) -> None:
    """Let `members` learn to reconstruct normal inputs ``(N, U)``, judged on `held` ``(V, U)``."""

    def loss(batch: Tensor, mask: Tensor | None) -> Tensor:
        # The root makes a row that is far off count once, not by its square.
        errors = (decoder(members(batch, mask)) - batch).square().mean(dim=2)
        total: Tensor = (errors + _EPSILON).sqrt().mean(dim=1).sum()
        return total

    descend(
        [*members.parameters(), *decoder.parameters()],
        steps=lambda: (loss(batch, _mask(members, len(batch), params)) for batch in _batches(normal, params)),
        judge=lambda: loss(held, None),
        epochs=params.pretrain_epochs,
        total=_steps(len(normal), params),
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        progress=lambda epoch: progress("pre-training", epoch, params.pretrain_epochs),
    )


def train(
    members: Networks,
    *,
    normal: Tensor,
    anomalous: Tensor,
    folds: Folds,
    held: Tensor,
    params: DeepSADParams,
    progress: Progress,
) -> Tensor:
    """Draw `normal` to a centre and push `anomalous` ``(A, U)`` away; the centre ``(S, 1, L)``."""
    with torch.no_grad():
        latent = members(normal)
        centre: Tensor = latent.median(dim=1, keepdim=True).values
        usual = (latent - centre).square().sum(dim=2).median(dim=1, keepdim=True).values.clamp(min=_EPSILON)
    centre.requires_grad_(len(anomalous) > 0)
    share = max(len(anomalous) / (len(normal) + len(anomalous)), LEAST_SHARE)

    def distances(batch: Tensor, mask: Tensor | None) -> Tensor:
        found: Tensor = (members(batch, mask) - centre).square().sum(dim=2) / usual
        return found

    def loss(batch: Tensor, others: Tensor, counted: Tensor, mask: Tensor | None) -> Tensor:
        found = distances(torch.cat([batch, others]), mask)
        near, far = found[:, : len(batch)], found[:, len(batch) :]
        if not len(others):
            border = torch.quantile(near.detach(), TRUSTED, dim=1, keepdim=True)
            drawn = torch.minimum(near, border).mean(dim=1)
        else:
            pushed = -torch.log(-torch.expm1(-far - _EPSILON)) * counted / counted.sum(dim=1, keepdim=True).clamp(min=1)
            drawn = (1 - share) * near.mean(dim=1) + params.eta * share * pushed.sum(dim=1)
        total: Tensor = drawn.sum()
        return total

    def steps() -> Iterator[Tensor]:
        for batch in _batches(normal, params):
            chosen = _drawn(len(anomalous))
            mask = _mask(members, len(batch) + len(chosen), params)
            yield loss(batch, anomalous[chosen], folds.learned[:, chosen], mask)

    unseen = folds.left_out if folds.left_out.any() else folds.learned
    descend(
        [*members.parameters(), centre],
        steps=steps,
        judge=lambda: loss(held, anomalous, unseen, None),
        epochs=params.epochs,
        total=_steps(len(normal), params),
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        progress=lambda epoch: progress("training", epoch, params.epochs),
    )
    return centre.detach()


def _size(count: int, params: DeepSADParams) -> int:
    return max(-(-count // MOST_STEPS), min(params.batch_size, -(-count // LEAST_STEPS)))


def _steps(count: int, params: DeepSADParams) -> int:
    return -(-count // _size(count, params))


def _batches(rows: Tensor, params: DeepSADParams) -> Iterator[Tensor]:
    for chosen in torch.randperm(len(rows)).split(_size(len(rows), params)):
        yield rows[chosen]


def _drawn(count: int) -> Tensor:
    """Places of some of `count` labelled anomalies; of none no random number is drawn."""
    return torch.randperm(count)[:ANOMALIES] if count > ANOMALIES else torch.arange(count)


def _mask(members: Networks, rows: int, params: DeepSADParams) -> Tensor | None:
    return draw_masks(members, rows, rate=params.dropout) if params.dropout else None


def draw_masks(members: Networks, rows: int, *, rate: float) -> Tensor:
    """``(S, rows, H)``: hidden units switched off with probability `rate`, the others scaled up to make good for it."""
    kept = torch.rand(members.count, rows, members.units) >= rate
    return kept.float() / (1 - rate)
