"""Gradient descent that stops when held-out samples no longer gain, and keeps the best weights."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

PATIENCE = 8
"""Epochs without a gain on held-out samples before training stops."""

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of the running means; as `torch.optim.AdamW` has them


def descend(
    parameters: Sequence[Tensor],
    *,
    steps: Callable[[], Iterator[Tensor]],
    judge: Callable[[], Tensor],
    epochs: int,
    total: int,
    learning_rate: float,
    weight_decay: float,
    progress: Callable[[int], None],
) -> None:
    """Follow the gradients of what `steps` yields; `parameters` end at the epoch that `judge` liked best.

    Args:
        parameters: Changed in place, those that need a gradient.
        steps: The losses of one epoch, one after the other.
        judge: The loss on held-out samples, after each epoch.
        epochs: At most.
        total: Steps of an epoch; the learning rate falls to 0 along a cosine over all of them.
        learning_rate: At the start.
        weight_decay: As in Loshchilov & Hutter 2019.
        progress: Told how many epochs are done.
    """
    optimizer = _AdamW([one for one in parameters if one.requires_grad], weight_decay=weight_decay)
    best, kept, since, done = float("inf"), _copies(parameters), 0, 0
    for epoch in range(epochs):
        for loss in steps():
            optimizer.step(loss, learning_rate * (1 + math.cos(math.pi * done / (epochs * total))) / 2)
            done += 1
        progress(epoch + 1)
        with torch.no_grad():
            found = float(judge())
        since += 1
        if found < best:
            best, kept, since = found, _copies(parameters), 0
        if since >= PATIENCE:
            break
    with torch.no_grad():
        for one, value in zip(parameters, kept, strict=True):
            one.copy_(value)


class _AdamW:
    """The function that `torch.optim.AdamW` calls, without the class: making one imports torch's compiler, seconds."""

    def __init__(self, parameters: list[Tensor], *, weight_decay: float) -> None:
        self._parameters, self._weight_decay = parameters, weight_decay
        self._means = [torch.zeros_like(one) for one in parameters]
        self._squares = [torch.zeros_like(one) for one in parameters]
        self._steps = [torch.zeros(()) for _ in parameters]

    def step(self, loss: Tensor, learning_rate: float) -> None:
        """Follow the gradient of `loss`, which depends on every parameter."""
        gradients = list(torch.autograd.grad(loss, self._parameters))
        with torch.no_grad():
            adamw(
                self._parameters,
                gradients,
                self._means,
                self._squares,
                [],
                self._steps,
                amsgrad=False,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                lr=learning_rate,
                weight_decay=self._weight_decay,
                eps=_EPSILON,
                maximize=False,
            )


def _copies(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [one.detach().clone() for one in parameters]
