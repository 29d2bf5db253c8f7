"""What DeepSAD computes, as torch modules: features in, score and its spread out; `sad_heads` says it in ONNX.

Shapes: N samples, F features, K components of them, U = F + K inputs, S networks side by side, H hidden units, L latent
ones, M remembered samples, T masks; `trust` is w in [0, 1].
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .whitening import SHARP, whitening

LEAK = 0.1
"""Slope of the activation below 0."""

FLOOR = 0.1
"""Of `whitening` for the networks, which directions of little variance would keep from learning of the others."""

KERNEL = 5
"""Rows that a unit of the first convolution sees."""

ROWS = 256
"""Samples compared with all remembered ones at once: bounds memory, and its pages are not asked for anew each time."""


class View(nn.Module):
    """Standardised features ``(N, F)`` seen in four ways, ``(N, 2 F + 2 K)``: plain, sharp, squashed and whitened.

    The plain ones tell how far off a column is, the sharp ones, whitened, what breaks the usual relations between
    columns; the squashed ones, by arcsinh, keep one broken column from drowning the others. Samples are remembered in
    these three ways; the networks take the squashed ones and these whitened, `inputs`.

    Where the last `rows` features are a window's own values, they are squashed alone and come last; the networks take
    them instead.
    """

    mean: Tensor
    whitening: Tensor
    sharpening: Tensor

    def __init__(self, mean: Tensor, whitening: Tensor, sharpening: Tensor, *, rows: int = 0) -> None:
        super().__init__()
        self.rows = rows
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)
        self.register_buffer("sharpening", sharpening)

    @classmethod
    def of(cls, features: Tensor, *, rows: int = 0, overlap: float, gaps: int = 0) -> "View":
        """Learn mean and components from ``(N, F)``; `overlap` and `gaps` as in `whitening`."""
        plain = features[:, : features.shape[1] - rows]
        squashed = torch.asinh(plain)
        whitened, sharp = (
            torch.from_numpy(whitening(way.numpy(), floor=floor, overlap=overlap, gaps=gaps))
            for way, floor in ((squashed, FLOOR), (plain, SHARP))
        )
        return cls(squashed.mean(dim=0), whitened, sharp, rows=rows)

    @property
    def widths(self) -> tuple[int, int, int]:
        """Columns of the three ways in which samples are remembered."""
        count, components = self.sharpening.shape
        return count, components, count

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        count = len(self.mean)
        plain, squashed = features[:, :count], torch.asinh(features)
        known = squashed[:, :count]
        whitened = (known - self.mean) @ self.whitening
        return torch.cat([plain, plain @ self.sharpening, known, whitened, squashed[:, count:]], dim=1)

    def inputs(self, seen: Tensor) -> Tensor:
        """``(N, U)`` of ``(N, 2 F + 2 K)``: what the networks take."""
        return seen[:, -self.rows :] if self.rows else seen[:, sum(self.widths[:2]) :]

    def memory(self, seen: Tensor) -> Tensor:
        """``(N, 2 F + K)`` of ``(N, 2 F + 2 K)``: what is remembered."""
        return seen[:, : sum(self.widths)]

    def nearest(self, seen: Tensor, remembered: Tensor, *, neighbours: int) -> Tensor:
        """``(N, 3)``: each way, the mean distance of ``(N, 2 F + 2 K)`` to the nearest of ``(M, 2 F + K)``."""
        pairs = zip(self.memory(seen).split(self.widths, dim=1), remembered.split(self.widths, dim=1), strict=True)
        return torch.stack([_nearest(one, others, neighbours=neighbours) for one, others in pairs], dim=1)


class Members(nn.Module):
    """S networks of one shape that never meet.

    Biases would let them collapse (Ruff et al. 2018): they stay 0 unless `biased`, for labelled anomalies to be told
    from normal samples by, which a collapsed network could not.
    """

    def __init__(self, *, members: int, inputs: int, hidden: int, latent: int, biased: bool = False) -> None:
        super().__init__()
        self.count, self.units = members, hidden
        self.first = nn.Parameter(_uniform(members, inputs, hidden))
        self.bias = nn.Parameter(torch.zeros(members, 1, hidden), requires_grad=biased)
        self.second = nn.Parameter(_uniform(members, hidden, latent))

    def hidden(self, inputs: Tensor) -> Tensor:
        """``(S, N, H)`` of ``(N, U)``."""
        return nn.functional.leaky_relu(torch.matmul(inputs, self.first) + self.bias, LEAK)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(S, N, L)`` of ``(N, U)``; `mask` ``(S, 1 or N, H)`` multiplies the hidden units."""
        hidden = self.hidden(inputs)
        found: Tensor = torch.bmm(hidden if mask is None else hidden * mask, self.second)
        return found


class ConvolutionalMembers(nn.Module):
    """S networks over the rows of windows: two convolutions in time, then mean and maximum over time as hidden units.

    `inputs` are the columns' values one column after the other, ``(N, columns * W)``. Biases as in `Members`.
    """

    def __init__(
        self, *, members: int, columns: int, window: int, hidden: int, latent: int, biased: bool = False
    ) -> None:
        super().__init__()
        channels = hidden // 2
        self.columns, self.window, self.count, self.units = columns, window, members, 2 * channels
        reach = min(KERNEL, window)
        self.first = nn.Parameter(_uniform(members * channels, columns * reach, 1).reshape(-1, columns, reach))
        self.bias = nn.Parameter(torch.zeros(members * channels), requires_grad=biased)
        self.middle = nn.Parameter(_uniform(members * channels, channels * 3, 1).reshape(-1, channels, 3))
        self.second = nn.Parameter(_uniform(members, self.units, latent))

    def hidden(self, inputs: Tensor) -> Tensor:
        """As `Members.hidden`."""
        steps = inputs.reshape(len(inputs), self.columns, self.window)
        steps = nn.functional.leaky_relu(nn.functional.conv1d(steps, self.first, self.bias), LEAK)
        steps = nn.functional.leaky_relu(
            nn.functional.conv1d(steps, self.middle, padding=1, groups=self.count), LEAK
        ).reshape(len(inputs), self.count, self.units // 2, self.window - self.first.shape[2] + 1)
        return torch.cat([steps.mean(dim=3), steps.amax(dim=3)], dim=2).transpose(0, 1)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """As `Members`."""
        hidden = self.hidden(inputs)
        found: Tensor = torch.bmm(hidden if mask is None else hidden * mask, self.second)
        return found


Networks = Members | ConvolutionalMembers


class Decoder(nn.Module):
    """``(S, N, U)`` of ``(S, N, L)``, for the pre-training alone."""

    def __init__(self, *, members: int, inputs: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.first, self.first_bias = nn.Parameter(_uniform(members, latent, hidden)), _zeros(members, hidden)
        self.second, self.second_bias = nn.Parameter(_uniform(members, hidden, inputs)), _zeros(members, inputs)

    def forward(self, latent: Tensor) -> Tensor:
        """See the class."""
        hidden = nn.functional.leaky_relu(torch.bmm(latent, self.first) + self.first_bias, LEAK)
        found: Tensor = torch.bmm(hidden, self.second) + self.second_bias
        return found


class Scorer(nn.Module):
    """Features ``(N, F)`` become scores ``(N,)`` and their standard deviations ``(N,)``, 0 without masks.

    score = w * mean over members of |phi(u) - c| / usual_distance + (1 - w) * the highest over three ways of seeing of
    1 + sharpness * (mean distance to the nearest remembered samples / usual_near - 1): each part is divided by what it
    is for a usual sample, so that 1 is usual. What breaks the relation of many columns stands out in one way alone, and
    little, where distances hardly vary: a mean would drown it. The deviation is that of T passes, each under masks of
    its own that are stored: Monte Carlo dropout (Gal & Ghahramani 2016) whose answer does not change from call to call.
    """

    centre: Tensor
    usual_distance: Tensor
    remembered: Tensor
    usual_near: Tensor
    sharpness: Tensor
    masks: Tensor
    trust: Tensor

    def __init__(self, view: View, members: Networks, *, parts: dict[str, Tensor], neighbours: int) -> None:
        super().__init__()
        self.view, self.members, self.neighbours = view, members, neighbours
        for name in ("centre", "usual_distance", "remembered", "usual_near", "sharpness", "masks", "trust"):
            self.register_buffer(name, parts[name])

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        hidden, score = self._scored(features)
        if len(self.masks) == 0:
            return score, torch.zeros_like(score)
        # A unit is silenced by what comes after it, so that all passes share the hidden units.
        passes = self._distance(hidden, self.masks.permute(1, 2, 0)[..., None] * self.members.second[:, :, None])
        return score, self.trust * passes.std(dim=1, correction=0)

    def plain(self, features: Tensor) -> Tensor:
        """The score ``(N,)`` alone, at less than half the cost."""
        return self._scored(features)[1]

    def _scored(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden units of ``(N, F)`` features, and the score ``(N,)``."""
        seen = self.view(features)
        hidden = self.members.hidden(self.view.inputs(seen))
        near = self.view.nearest(seen, self.remembered, neighbours=self.neighbours) / self.usual_near
        distance = self._distance(hidden, self.members.second[:, :, None])[:, 0]
        return hidden, self.trust * distance + (1 - self.trust) * stands_out(near, self.sharpness)

    def _distance(self, hidden: Tensor, second: Tensor) -> Tensor:
        """``(N, T)`` of ``(S, N, H)`` and T sets of weights ``(S, H, T, L)``."""
        latent = torch.bmm(hidden, second.flatten(2)).unflatten(2, second.shape[2:])
        distance = (latent - self.centre[:, :, None]).square().sum(dim=3).sqrt()
        found: Tensor = (distance / self.usual_distance[:, None, None]).mean(dim=0)
        return found


def sharpness_of(ways: Sequence[Tensor]) -> Tensor:
    """How much a distance above the usual one tells in each way of seeing, from samples ``(M, D)`` in each; mean 1.

    Distances between Gaussian samples in K dimensions deviate by 1 / sqrt(2 K) of their size, K the effective number
    (tr C)^2 / tr C^2 of their covariance's dimensions. Columns have heavier tails than that, and a deviation estimated
    from few held-out samples would differ from fold to fold, which share a threshold: sharpness rises with K^(1/4).
    """
    found = torch.stack([_dimensions(way) for way in ways]).sqrt().sqrt()
    return found / found.mean()


def stands_out(near: Tensor, sharpness: Tensor) -> Tensor:
    """``(N,)`` of distances ``(N, 3)`` in three ways of seeing, 1 usual: that in which most stands out, 1 usual."""
    return 1 + ((near - 1) * sharpness).amax(dim=1)


def _dimensions(rows: Tensor) -> Tensor:
    """Effective dimensions of ``(M, D)``; of rows that do not differ 1."""
    away = rows - rows.mean(dim=0)
    products = away.T @ away if len(away) > away.shape[1] else away @ away.T
    squares = products.square().sum()
    return products.trace().square() / squares if squares > 0 else torch.ones_like(squares)


def _nearest(inputs: Tensor, remembered: Tensor, *, neighbours: int) -> Tensor:
    """Mean distance ``(N,)`` of ``(N, U)`` to the nearest of ``(M, U)``."""
    own, others = inputs.square().sum(dim=1), remembered.square().sum(dim=1)
    found = []
    for some, square in zip(inputs.split(ROWS), own.split(ROWS), strict=True):
        squares = torch.addmm(others, some, remembered.T, alpha=-2)
        least = squares.topk(min(neighbours, len(remembered)), dim=1, largest=False).values
        found.append((least + square[:, None]).clamp(min=0).sqrt().mean(dim=1))
    return torch.cat(found)


def _uniform(members: int, inputs: int, outputs: int) -> Tensor:
    """Weights of variance 1 / inputs: outputs vary as much as inputs do."""
    spread: Tensor = (torch.rand(members, inputs, outputs) * 2 - 1) * (3 / inputs) ** 0.5
    return spread


def _zeros(members: int, outputs: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(members, 1, outputs))
