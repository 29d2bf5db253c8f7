"""How far estimated Shapley values can be trusted: between seeds, and beside exact ones of small games."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Condition
from components.core.seeds import derive_seed
from components.explain.exact import ValueFunction, exact_shapley
from components.explain.games import restricted
from components.explain.walks import enumerable, evaluated, sampled_shapley

EXACT_PLAYERS = 8
CHECKED = 5
"""Games whose values are estimated again with another seed."""

_EXACT_SAMPLES = 3
_MOST = 100_000
"""Coalitions a sample that may be recommended: what `explain.evaluations` takes."""
_NOTHING = 1e-9
"""Values whose sum is this small beside the scores are rounding errors: there is nothing to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the values can be trusted; 0 is best for each.

    Attributes:
        seed_disagreement: Sum of absolute differences between two seeds over the sum of absolute values.
        exact_disagreement: The same between estimated and exact values, in a game of at most 8 players (the others stay
            as they are in the sample), with as many evaluations a player as the explanation itself had, but never so
            many that the estimate were exact itself.
        exact_players: Players in that game.
        exact_evaluations: Coalitions that its values were estimated with.
        additivity_residual: Largest |base + sum of values - score| over the largest |score - base|. The method makes it
            0 whatever the values are worth: it proves nothing.
        enumerated: Whether every coalition was evaluated: the values are exact, and two seeds cannot differ.
        moved: Whether the score moves at all; where it does not, nothing was measured.
    """

    seed_disagreement: float
    exact_disagreement: float
    exact_players: int
    exact_evaluations: int
    additivity_residual: float
    enumerated: bool
    moved: bool


def agreement(
    games: Sequence[ValueFunction],
    values: NDArray[np.float64],
    *,
    base: float,
    scores: NDArray[np.float64],
    seed: int,
    evaluations: int,
    between: float,
) -> Agreement:
    """Compare `values` with exact ones (first 3 games, 8 players), and say how far two seeds were found apart.

    Args:
        games: N games of P players.
        values: ``(N, P)`` estimated with `evaluations` coalitions each.
        base: Worth of nobody.
        scores: ``(N,)`` worth of all.
        seed: Of the coalitions drawn here.
        evaluations: As `values` had.
        between: What `between_seeds` found.
    """
    count = values.shape[1]
    enumerated = enumerable(count, evaluations=evaluations)
    players = min(count, EXACT_PLAYERS)
    # Of a game so small most shares would enumerate every coalition, and exact values agree with themselves.
    share = min(max(2 * players, evaluations * players // count), 2**players - 3)
    beside = 0.0
    if not enumerated:
        beside = _beside_exact(games[:_EXACT_SAMPLES], values, players=players, seed=seed, evaluations=share)
    return Agreement(
        seed_disagreement=between,
        exact_disagreement=beside,
        exact_players=players,
        exact_evaluations=2**players if enumerated else evaluated(players, evaluations=share),
        additivity_residual=residual(values.sum(axis=1), scores - base),
        enumerated=enumerated,
        moved=stirs(values, np.array([base]), scores),
    )


def between_seeds(games: Sequence[ValueFunction], values: NDArray[np.float64], *, seed: int, evaluations: int) -> float:
    """How far `values` ``(N, P)`` of N games are from those of another seed; 0 where they are exact."""
    if enumerable(values.shape[1], evaluations=evaluations):
        return 0.0
    again = [
        sampled_shapley(game, values.shape[1], evaluations=evaluations, seed=derive_seed(seed, "again", number))
        for number, game in enumerate(games)
    ]
    return relative(values, np.stack(again))


def _beside_exact(
    games: Sequence[ValueFunction], values: NDArray[np.float64], *, players: int, seed: int, evaluations: int
) -> float:
    count = values.shape[1]
    exact, estimated = [], []
    for number, game in enumerate(games):
        kept = np.sort(np.argsort(-np.abs(values[number]), kind="stable")[:players])
        small, drawn = restricted(game, kept, count), derive_seed(seed, "small", number)
        exact.append(exact_shapley(small, players))
        estimated.append(sampled_shapley(small, players, evaluations=evaluations, seed=drawn))
    return relative(np.stack(exact), np.stack(estimated))


def needed(disagreement: float, *, limit: float, spent: int) -> int:
    """Coalitions by which two seeds would disagree by `limit`: errors of means fall with the root of their number.

    >>> needed(0.2, limit=0.1, spent=250)
    1000
    """
    return math.ceil(spent * (disagreement / limit) ** 2 / 100) * 100


def conditions(
    found: Agreement, *, name: str, players: str, limit: float, spent: int, option: str
) -> tuple[Condition, Condition]:
    """Whether the values agree between seeds and with exact ones; unmeasured where the score moves with nothing.

    Args:
        found: How far they agree.
        name: Of the checks.
        players: What the values are of.
        limit: The largest disagreement allowed.
        spent: Coalitions that each explained sample cost.
        option: Of the line's file, that says how many these are.
    """
    seeds = f"two seeds disagree by {found.seed_disagreement:.2%} of the values' sum"
    enough = needed(found.seed_disagreement, limit=limit, spent=spent)
    if found.seed_disagreement > limit and enough <= _MOST:
        seeds += f" with {spent} coalitions a sample, and by about {limit:.0%} with {option}: {enough}"
    exact = (
        f"in a game of {found.exact_players} {players} the values by {found.exact_evaluations} coalitions differ from "
        f"exact Shapley values by {found.exact_disagreement:.2%}"
    )
    if found.enumerated:
        seeds = f"every coalition of {players} was evaluated: two seeds cannot differ"
        exact = f"every coalition of {players} was evaluated: they are exact Shapley values"
    return (
        _judged(f"{name}_seeds", found.seed_disagreement, limit=limit, detail=seeds, moved=found.moved),
        _judged(f"{name}_exact", found.exact_disagreement, limit=limit, detail=exact, moved=found.moved),
    )


def _judged(name: str, value: float, *, limit: float, detail: str, moved: bool) -> Condition:
    if not moved:
        return Condition(name=name, status="unmeasured", limit=limit, detail="the score moves with no value at all")
    status = "met" if value <= limit else "failed"
    return Condition(name=name, status=status, value=value, limit=limit, detail=detail)


def stirs(values: NDArray[np.float64], base: NDArray[np.float64], scores: NDArray[np.float64]) -> bool:
    """Whether `values` are more than the rounding errors of scores."""
    return bool(np.abs(values).sum() > _NOTHING * max(float(np.abs(base).max()), float(np.abs(scores).max()), 1e-300))


def residual(sums: NDArray[np.float64], worths: NDArray[np.float64]) -> float:
    """Largest |sum - worth| of ``(N,)`` over the largest |worth|."""
    return float(np.abs(sums - worths).max()) / max(float(np.abs(worths).max()), 1e-300)


def relative(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Sum of absolute differences over the sum of absolute values of `first`; 0 where both are 0."""
    total = float(np.abs(first).sum())
    return float(np.abs(first - second).sum()) / total if total > 0 else float(np.abs(second).sum() > 0)
