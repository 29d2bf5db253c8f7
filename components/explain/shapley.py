"""Shapley values of a detector's score for windows, one player a column."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.contracts import Condition
from components.core.ports import Windows
from components.core.seeds import derive_seed, generator
from components.explain.agreement import CHECKED, Agreement, agreement, between_seeds, conditions, needed, stirs
from components.explain.exact import ValueFunction
from components.explain.games import ScoreFunction, columns_play, window_game
from components.explain.walks import coalitions, evaluated, sampled_shapley

EVALUATIONS = 256
BACKGROUND = 20
MOST_TIMES = 4
"""Times the evaluations that are spent at most, where with fewer two seeds disagree by more than they may."""
_SAFELY = 0.9  # of the limit is aimed at: how far seeds disagree is an estimate itself


@dataclass(frozen=True, slots=True, kw_only=True)
class TableExplanation:
    """Where the scores of N windows come from.

    Attributes:
        values: ``(N, D)``: what each column adds to the score; positive makes the sample more anomalous.
        base: Mean score of the background.
        scores: ``(N,)``; `base` plus the sum of a row of `values`.
        features: D column names.
        means: ``(N, D)`` mean of each column over its window, for people; NaN where all is missing.
        shown: N times D texts, what each column holds, for people: its mean, or its most frequent category.
        evaluations: Coalitions evaluated a sample, with nobody and all, each over the whole background.
        background: Windows in the background.
        checks: How far the values can be trusted.
    """

    values: NDArray[np.float64]
    base: float
    scores: NDArray[np.float64]
    features: tuple[str, ...]
    means: NDArray[np.float64]
    shown: tuple[tuple[str, ...], ...]
    evaluations: int
    background: int
    checks: Agreement

    def conditions(self, *, limit: float) -> tuple[Condition, Condition]:
        """Whether the values can be trusted within `limit`."""
        option = "explain.evaluations"
        return conditions(
            self.checks, name="shapley", players="columns", limit=limit, spent=self.evaluations, option=option
        )


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
    limit: float | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
) -> TableExplanation:
    """Shapley values of columns, each whole, by sampled orders; see `window_game` for what a coalition is worth.

    Args:
        score: ``(n, W, D)`` → ``(n,)``; higher is more anomalous.
        windows: ``(N, W, D)`` to explain.
        background: ``(B, W, D)`` normal windows, 20 to 50 of them are enough.
        feature_names: D names.
        seed: Of the coalitions drawn.
        evaluations: Coalitions a sample at most; raised for many columns, see `coalitions`.
        limit: By how much two seeds may disagree: where they do by more, up to `MOST_TIMES` the evaluations are spent,
            if these would do.
        categories: Of the columns that hold words, by name; windows have their numbers.

    Raises:
        ValueError: Nothing to explain, no background, or names that do not fit.
    """
    if not len(windows) or not len(background) or windows.shape[2] != len(feature_names):
        raise ValueError(f"cannot explain {windows.shape} with {background.shape} and {len(feature_names)} names")
    columns = windows.shape[2]
    players = columns_play(windows.shape[1], columns)
    games = [window_game(score, window, background, players) for window in windows]
    base, scores = float(games[0](np.zeros((1, columns), dtype=np.bool_))[0]), score(windows)
    evaluations = coalitions(columns, wanted=evaluations)
    few, most = games[:CHECKED], MOST_TIMES * evaluations
    values, between = _checked(few, columns, evaluations=evaluations, seed=seed)
    while limit is not None and between > limit and stirs(values, np.array([base]), scores):
        enough = needed(between, limit=_SAFELY * limit, spent=evaluations)
        if enough > most:
            break
        evaluations = enough
        values, between = _checked(few, columns, evaluations=evaluations, seed=seed)
    rest = range(len(few), len(games))
    values = np.concatenate([values, _estimated(games, rest, columns, evaluations=evaluations, seed=seed)])
    means = _means(windows)
    words = [(categories or {}).get(name) for name in feature_names]
    return TableExplanation(
        values=values,
        base=base,
        scores=scores,
        features=tuple(feature_names),
        means=means,
        shown=tuple(_shown(window, row, words) for window, row in zip(windows, means.tolist(), strict=True)),
        evaluations=evaluated(columns, evaluations=evaluations),
        background=len(background),
        checks=agreement(games, values, base=base, scores=scores, seed=seed, evaluations=evaluations, between=between),
    )


def _estimated(
    games: Sequence[ValueFunction], which: Iterable[int], columns: int, *, evaluations: int, seed: int
) -> NDArray[np.float64]:
    """``(n, D)`` values of n of the games."""
    found = [
        sampled_shapley(games[number], columns, evaluations=evaluations, seed=derive_seed(seed, "shap", number))
        for number in which
    ]
    return np.array(found).reshape(-1, columns)


def _checked(
    games: Sequence[ValueFunction], columns: int, *, evaluations: int, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Values ``(N, D)`` of the games, and how far those of another seed are from them."""
    values = _estimated(games, range(len(games)), columns, evaluations=evaluations, seed=seed)
    return values, between_seeds(games, values, seed=seed, evaluations=evaluations)


def _means(windows: Windows) -> NDArray[np.float64]:
    present = np.isfinite(windows)
    sums = np.where(present, windows, 0.0).sum(axis=1)
    counts = present.sum(axis=1)
    means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _shown(window: Windows, means: Sequence[float], words: Sequence[Sequence[str] | None]) -> tuple[str, ...]:
    """What each of D columns of ``(W, D)`` holds: its mean, or of its words the most frequent."""
    return tuple(
        _number(mean) if known is None else _most_frequent(codes, known)
        for codes, mean, known in zip(window.T, means, words, strict=True)
    )


def _most_frequent(codes: NDArray[np.float64], categories: Sequence[str]) -> str:
    """The word of most rows of ``(W,)`` codes."""
    found, counts = np.unique(codes[np.isfinite(codes)], return_counts=True)
    if not len(found):
        return "missing"
    code = int(found[counts.argmax()])
    word = categories[code] if code >= 0 else "a word never seen"
    return f"mostly {word}" if len(found) > 1 else word


def _number(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:.4g}"
