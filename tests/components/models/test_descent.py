import pytest
import torch

from components.models.descent import PATIENCE, descend

EPOCHS, STEPS = 5, 7

torch.manual_seed(0)
ROWS, TARGET = torch.randn(STEPS, 16, 4), torch.randn(STEPS, 16)


def losses(weights, bias):
    for rows, target in zip(ROWS, TARGET, strict=True):
        yield (rows @ weights + bias - target).square().mean()


def descended(weights, bias, *, judge, epochs=EPOCHS, progress=lambda _: None):
    descend(
        [weights, bias],
        steps=lambda: losses(weights, bias),
        judge=judge,
        epochs=epochs,
        total=STEPS,
        learning_rate=0.05,
        weight_decay=0.1,
        progress=progress,
    )


def test_steps_are_those_of_adamw_along_a_cosine():
    weights, bias = torch.zeros(4, requires_grad=True), torch.zeros(1)
    falling = iter(range(EPOCHS, 0, -1))
    descended(weights, bias, judge=lambda: torch.tensor(next(falling)))
    expected = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.AdamW([expected], lr=0.05, weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * STEPS)
    for _ in range(EPOCHS):
        for loss in losses(expected, bias):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    assert expected.detach().abs().max() > 0.05
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(bias, torch.zeros(1))  # needs no gradient


def test_the_best_epoch_is_kept_and_nothing_is_waited_for_in_vain():
    weights, seen, told = torch.zeros(4, requires_grad=True), [], []

    def judge():
        seen.append(weights.detach().clone())
        return torch.tensor([3.0, 1.0, *[2.0] * 50][len(seen) - 1])

    descended(weights, torch.zeros(1), judge=judge, epochs=40, progress=told.append)
    assert torch.equal(weights.detach(), seen[1])
    assert not torch.equal(seen[1], seen[-1])
    assert told == list(range(1, 2 + PATIENCE + 1))


@pytest.mark.parametrize("epochs", [0, 1])
def test_few_epochs(epochs):
    weights = torch.ones(4, requires_grad=True)
    descended(weights, torch.zeros(1), judge=lambda: torch.tensor(0.0), epochs=epochs)
    assert torch.equal(weights.detach(), torch.ones(4)) == (epochs == 0)
