"""Owen values of the cells of a window: what a sensor adds to the score, divided among its own time blocks."""

from math import comb

import numpy as np
from numpy.typing import NDArray

from components.core.seeds import generator
from components.explain.exact import MOST_PLAYERS, ValueFunction, all_coalitions, shapley_weights


def owen_values(
    game: ValueFunction, blocks: int, *, totals: NDArray[np.float64], pairs: int | None, seed: int
) -> NDArray[np.float64]:
    """``(T, S)`` values of cells, each sensor's adding up to its entry in `totals`.

    Owen, 1977, "Values of games with a priori unions", the unions being the sensors: a sensor's cells divide among
    themselves what it brings to a random coalition of whole other sensors. So at any time one sensor alone is mixed
    within itself, and the jumps that two windows have where they are joined stay rare; Shapley values of all cells
    alike need many times the coalitions, since each sensor is cut to pieces in each. Every coalition of a sensor's
    blocks is evaluated; coalitions of other sensors are drawn, each with its complement. What the draw leaves between
    a sensor's cells and its total is spread evenly over its blocks.

    Args:
        game: Worth of coalitions of ``T * S`` players, sensor s in block t being number ``t * S + s``.
        blocks: T.
        totals: ``(S,)`` Shapley values of whole sensors.
        pairs: Coalitions of other sensors drawn for each sensor, and as many complements; None: all there are.
        seed: Of what is drawn.
    """
    sensors = len(totals)
    rng = generator(seed, "owen")
    own, values = all_coalitions(blocks), np.empty((blocks, sensors))
    for sensor in range(sensors):
        others, chances = _everyone(sensors) if pairs is None else _drawn(sensors, pairs, rng)
        who = np.empty((len(others), len(own), blocks, sensors), dtype=np.bool_)
        who[...] = np.insert(others, sensor, False, axis=1)[:, None, None, :]
        who[..., sensor] = own
        worths = game(who.reshape(-1, blocks * sensors)).reshape(len(others), len(own))
        values[:, sensor] = shapley_weights(blocks) @ (chances @ worths)
    values += (totals - values.sum(axis=0)) / blocks
    return values


def pairs_within(evaluations: int, *, blocks: int, sensors: int) -> int | None:
    """How many `pairs` fit into `evaluations` coalitions, at least one; None where all coalitions do."""
    if sensors <= MOST_PLAYERS and evaluations_of(None, blocks=blocks, sensors=sensors) <= evaluations:
        return None
    return max(1, evaluations // evaluations_of(1, blocks=blocks, sensors=sensors))


def evaluations_of(pairs: int | None, *, blocks: int, sensors: int) -> int:
    """Coalitions that `owen_values` evaluates.

    >>> evaluations_of(2, blocks=5, sensors=8)
    1024
    """
    coalitions = 1 << (sensors - 1) if pairs is None else 2 * pairs
    return coalitions * (1 << blocks) * sensors


def _everyone(sensors: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Every coalition of the other sensors, and its chance of being those before one in a random order."""
    others = all_coalitions(sensors - 1) if sensors > 1 else np.zeros((1, 0), dtype=np.bool_)
    sizes = others.sum(axis=1)
    return others, np.array([1 / (sensors * comb(sensors - 1, int(size))) for size in sizes])


def _drawn(sensors: int, pairs: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Coalitions of the other sensors, as many as come before one in a random order, each with its complement."""
    places = np.argsort(rng.random((pairs, sensors - 1)), axis=1)
    first = places < rng.integers(0, sensors, size=(pairs, 1))
    return np.concatenate([first, ~first]), np.full(2 * pairs, 0.5 / pairs)
