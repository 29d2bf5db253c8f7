"""Shapley values of a detector's score for windows, one player a column, by the library `shap`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.ports import Windows
from components.core.seeds import derive_seed, generator
from components.explain.exact import ValueFunction, exact_shapley

ScoreFunction = Callable[[Windows], NDArray[np.float64]]

EVALUATIONS = 256
BACKGROUND = 30
EXACT_PLAYERS = 8
_CHECKED = 5
_EXACT_SAMPLES = 3
_LEAST_PER_COLUMN = 4
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """How far the values can be trusted; 0 is best for each.

    Attributes:
        seed_disagreement: Sum of absolute differences between two seeds over the sum of absolute values.
        exact_disagreement: The same between `shap` and exact values, in a game of at most 8 columns (the others stay
            as they are in the sample), with as many evaluations a column as the explanation itself had.
        exact_players: Columns in that game.
        additivity_residual: Largest |base + sum of values - score| over the largest |score - base|. The method makes it
            0 whatever the values are worth: it proves nothing.
        enumerated: Whether every coalition was evaluated, so that two seeds cannot differ.
    """

    seed_disagreement: float
    exact_disagreement: float
    exact_players: int
    additivity_residual: float
    enumerated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableExplanation:
    """Where the scores of N windows come from.

    Attributes:
        values: ``(N, D)``: what each column adds to the score; positive makes the sample more anomalous.
        base: Mean score of the background.
        scores: ``(N,)``; `base` plus the sum of a row of `values`.
        features: D column names.
        means: ``(N, D)`` mean of each column over its window, for people; NaN where all is missing.
        evaluations: Coalitions evaluated a sample, each over the whole background.
        background: Windows in the background.
    """

    values: NDArray[np.float64]
    base: float
    scores: NDArray[np.float64]
    features: tuple[str, ...]
    means: NDArray[np.float64]
    evaluations: int
    background: int
    checks: Checks


def pick_background(windows: Windows, *, seed: int, size: int = BACKGROUND) -> Windows:
    """At most `size` of the normal training `windows`, drawn without replacement: real rows, so missing values stay."""
    drawn = generator(seed, "background").permutation(len(windows))[:size]
    return windows[np.sort(drawn)]


def explain_table(
    score: ScoreFunction,
    windows: Windows,
    background: Windows,
    feature_names: Sequence[str],
    *,
    seed: int,
    evaluations: int = EVALUATIONS,
) -> TableExplanation:
    """Kernel SHAP (Lundberg and Lee, 2017, "A unified approach to interpreting model predictions", section 4.1).

    A coalition's worth is the mean score over the background of windows that take the coalition's columns, whole, from
    the sample and the others from a background window (the interventional game). Columns are taken as if independent:
    strongly dependent ones share what they explain in a way that the data alone do not settle.

    Args:
        score: ``(n, W, D)`` → ``(n,)``; higher is more anomalous.
        windows: ``(N, W, D)`` to explain.
        background: ``(B, W, D)`` normal windows, 20 to 50 of them are enough.
        feature_names: D names.
        seed: Of the coalitions drawn.
        evaluations: Coalitions a sample; raised to four a column, below which the regression is not determined.

    Raises:
        ValueError: Nothing to explain, no background, or names that do not fit.
    """
    if not len(windows) or not len(background) or windows.shape[2] != len(feature_names):
        raise ValueError(f"cannot explain {windows.shape} with {background.shape} and {len(feature_names)} names")
    games = [_game(score, window, background) for window in windows]
    columns = windows.shape[2]
    evaluations = max(evaluations, _LEAST_PER_COLUMN * columns)
    values = np.stack(
        [_kernel(game, columns, evaluations, derive_seed(seed, "shap", i)) for i, game in enumerate(games)]
    )
    base, scores = float(games[0](np.zeros((1, columns), dtype=np.bool_))[0]), score(windows)
    present = np.isfinite(windows)
    sums = np.where(present, windows, 0.0).sum(axis=1)
    counts = present.sum(axis=1)
    return TableExplanation(
        values=values,
        base=base,
        scores=scores,
        features=tuple(feature_names),
        means=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        evaluations=evaluations,
        background=len(background),
        checks=_checks(games, values, base, scores, seed=seed, evaluations=evaluations),
    )


def _game(score: ScoreFunction, window: Windows, background: Windows) -> ValueFunction:
    """The worth of coalitions of columns for one ``(W, D)`` window, in batches of bounded size."""
    chunk = max(1, _CELLS // background.size)

    def worth(who: NDArray[np.bool_]) -> NDArray[np.float64]:
        means = []
        for start in range(0, len(who), chunk):
            taken = who[start : start + chunk].astype(np.bool_)[:, None, None, :]
            mixed = np.where(taken, window[None, None], background[None])
            means.append(score(mixed.reshape(-1, *window.shape)).reshape(len(taken), len(background)).mean(axis=1))
        return np.concatenate(means)

    return worth


def _kernel(game: ValueFunction, players: int, evaluations: int, seed: int) -> NDArray[np.float64]:
    """`shap`'s estimate for one game; its data are 0 and 1, out of the coalition and in it."""
    from shap import KernelExplainer

    with _numpy_seed(seed):
        explainer = KernelExplainer(lambda who: game(who > 0), np.zeros((1, players)))
        values = explainer.shap_values(np.ones(players), nsamples=evaluations, l1_reg=False, silent=True)
    return np.asarray(values, dtype=np.float64).reshape(players)


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """`shap` draws from NumPy's global generator: seed it, and put it back as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def _checks(
    games: Sequence[ValueFunction],
    values: NDArray[np.float64],
    base: float,
    scores: NDArray[np.float64],
    *,
    seed: int,
    evaluations: int,
) -> Checks:
    columns = values.shape[1]
    again = [
        _kernel(game, columns, evaluations, derive_seed(seed, "again", i)) for i, game in enumerate(games[:_CHECKED])
    ]
    players = min(columns, EXACT_PLAYERS)
    share = max(2 * players, evaluations * players // columns)
    exact, kernel = [], []
    for number, game in enumerate(games[:_EXACT_SAMPLES]):
        kept = np.sort(np.argsort(-np.abs(values[number]))[:players])
        small = _restricted(game, kept, columns)
        exact.append(exact_shapley(small, players))
        kernel.append(_kernel(small, players, share, derive_seed(seed, "small", number)))
    largest = float(np.abs(scores - base).max())
    return Checks(
        seed_disagreement=_relative(values[: len(again)], np.stack(again)),
        exact_disagreement=_relative(np.stack(exact), np.stack(kernel)),
        exact_players=players,
        additivity_residual=float(np.abs(base + values.sum(axis=1) - scores).max()) / max(largest, 1e-300),
        enumerated=evaluations >= 2**columns - 2,
    )


def _restricted(game: ValueFunction, kept: NDArray[np.int64], columns: int) -> ValueFunction:
    def worth(who: NDArray[np.bool_]) -> NDArray[np.float64]:
        everyone = np.ones((len(who), columns), dtype=np.bool_)
        everyone[:, kept] = who
        return game(everyone)

    return worth


def _relative(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Sum of absolute differences over the sum of absolute values of `first`; 0 where both are 0."""
    total = float(np.abs(first).sum())
    return float(np.abs(first - second).sum()) / total if total > 0 else float(np.abs(second).sum() > 0)
