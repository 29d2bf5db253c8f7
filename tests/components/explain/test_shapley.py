import re

import numpy as np
import pytest

from components.explain.exact import exact_shapley
from components.explain.games import columns_play, window_game
from components.explain.shapley import explain_table, pick_background


def _linear(weights: np.ndarray):
    return lambda windows: windows.mean(axis=1) @ weights


def test_linear_model_by_hand() -> None:
    # Shapley values of a linear score: weight times distance to the background's mean.
    rng = np.random.default_rng(0)
    weights = np.array([1.0, -2.0, 0.0, 3.0])
    windows, background = rng.normal(size=(5, 3, 4)), rng.normal(size=(20, 3, 4))
    found = explain_table(_linear(weights), windows, background, list("abcd"), seed=1)
    expected = (windows.mean(axis=1) - background.mean(axis=(0, 1))) * weights
    assert found.values == pytest.approx(expected, abs=1e-9)
    assert found.base == pytest.approx(background.mean(axis=(0, 1)) @ weights)
    assert found.scores == pytest.approx(found.base + found.values.sum(axis=1))


def _crossed(windows: np.ndarray) -> np.ndarray:
    last = windows[:, -1]
    return np.abs(last[:, 0] * last[:, 1]) + np.maximum(last[:, 2:].sum(axis=1), 0.0) + (last[:, 3] > 0) * last[:, 4]


def test_few_columns_get_exact_values() -> None:
    rng = np.random.default_rng(0)
    windows, background = rng.normal(size=(3, 2, 8)), rng.normal(size=(20, 2, 8))
    found = explain_table(_crossed, windows, background, list("abcdefgh"), seed=1)
    games = [window_game(_crossed, window, background, columns_play(2, 8)) for window in windows]
    assert found.values == pytest.approx(np.stack([exact_shapley(game, 8) for game in games]), abs=1e-12)
    assert found.checks.enumerated
    assert (found.evaluations, found.checks.exact_evaluations) == (256, 256)
    fewer = explain_table(_crossed, windows, background, list("abcdefgh"), seed=1, evaluations=100)
    assert not fewer.checks.enumerated
    assert fewer.checks.exact_disagreement > 0


def test_many_columns_are_sampled_and_the_checks_say_how_well() -> None:
    rng = np.random.default_rng(0)
    windows, background = rng.normal(size=(4, 2, 14)), rng.normal(size=(20, 2, 14))
    names = [f"c{index}" for index in range(14)]
    fewer = explain_table(_crossed, windows, background, names, seed=1, evaluations=100)
    more = explain_table(_crossed, windows, background, names, seed=1, evaluations=4_000)
    few, many = fewer.checks, more.checks
    assert not few.enumerated
    assert few.exact_players == 8
    # However many evaluations there are, what is compared with exact values is drawn.
    assert 0.001 < many.exact_disagreement < few.exact_disagreement < 0.5
    assert many.seed_disagreement < few.seed_disagreement / 2
    # Additivity is perfect even where the values are not: it proves nothing.
    assert few.additivity_residual < 1e-9
    limit = (few.exact_disagreement + many.exact_disagreement) / 2
    assert [check.status for check in more.conditions(limit=limit)] == ["met"] * 2
    seeds, exact = fewer.conditions(limit=limit)
    assert (exact.name, exact.status, exact.value, exact.limit) == (
        "shapley_exact",
        "failed",
        few.exact_disagreement,
        limit,
    )
    assert f"{few.seed_disagreement:.2%}" in seeds.detail
    assert few.exact_evaluations < many.exact_evaluations < 2**8
    assert f"by {few.exact_evaluations} coalitions" in exact.detail


def test_seeds_that_disagree_say_how_many_coalitions_would_do() -> None:
    rng = np.random.default_rng(2)
    windows, background = rng.normal(size=(5, 1, 20)), rng.normal(size=(20, 1, 20))
    names = [f"c{index}" for index in range(20)]

    def seeds(evaluations: int):
        return explain_table(_crossed, windows, background, names, seed=1, evaluations=evaluations).conditions(
            limit=0.05
        )[0]

    first = seeds(240)
    told = re.search(r"with 230 coalitions a sample, and by about 5% with explain.evaluations: (\d+)$", first.detail)
    assert first.status == "failed"
    assert told
    assert seeds(int(told[1])).value == pytest.approx(0.05, rel=0.5)
    assert "coalitions a sample" not in seeds(3 * int(told[1])).detail


def test_evaluations_are_raised_where_that_makes_seeds_agree() -> None:
    rng = np.random.default_rng(2)
    windows, background = rng.normal(size=(5, 1, 20)), rng.normal(size=(20, 1, 20))
    names = [f"c{index}" for index in range(20)]

    def found(limit: float | None):
        return explain_table(_crossed, windows, background, names, seed=1, evaluations=240, limit=limit)

    plain = found(None)
    near, far = plain.checks.seed_disagreement / 1.5, plain.checks.seed_disagreement / 5
    raised = found(near)
    assert plain.evaluations < raised.evaluations <= 4 * 240
    assert raised.conditions(limit=near)[0].status == "met"
    # What four times as many would not reach costs no more, and is told.
    assert found(far).evaluations == plain.evaluations
    assert found(far).conditions(limit=far)[0].status == "failed"


def test_same_seed_same_values_and_numpy_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    windows, background = rng.normal(size=(2, 1, 12)), rng.normal(size=(10, 1, 12))
    names = [f"c{index}" for index in range(12)]
    np.random.seed(5)
    first = explain_table(_crossed, windows, background, names, seed=3, evaluations=80)
    drawn = np.random.random()
    np.random.seed(5)
    assert drawn == np.random.random()
    again = explain_table(_crossed, windows, background, names, seed=3, evaluations=80)
    assert (first.values == again.values).all()


def test_single_column_constant_score_and_missing_values() -> None:
    windows = np.array([[[2.0]], [[np.nan]]])
    found = explain_table(lambda w: np.nan_to_num(w).sum(axis=(1, 2)), windows, np.zeros((3, 1, 1)), ["a"], seed=0)
    assert found.values.tolist() == [[2.0], [0.0]]
    assert np.isnan(found.means[1, 0])
    flat = explain_table(lambda w: np.ones(len(w)), np.ones((2, 1, 3)), np.zeros((3, 1, 3)), list("abc"), seed=0)
    assert np.abs(flat.values).max() < 1e-12
    assert flat.checks.seed_disagreement < 1e-9
    assert {check.status for check in flat.conditions(limit=0.1)} == {"unmeasured"}


def test_wide_tables_get_enough_evaluations() -> None:
    windows = np.random.default_rng(0).normal(size=(1, 1, 90))
    found = explain_table(_linear(np.ones(90)), windows, np.zeros((2, 1, 90)), [str(i) for i in range(90)], seed=0)
    assert found.evaluations == 2 + 6 * 2 * 89
    assert found.values[0] == pytest.approx(windows[0, 0], abs=1e-6)


def test_names_must_fit() -> None:
    with pytest.raises(ValueError, match="names"):
        explain_table(_crossed, np.zeros((1, 1, 3)), np.zeros((1, 1, 3)), ["a"], seed=0)


def test_background_is_drawn_from_the_data() -> None:
    windows = np.arange(100.0).reshape(100, 1, 1)
    drawn = pick_background(windows, seed=1, size=10)
    assert drawn.shape == (10, 1, 1)
    assert set(drawn.ravel()) <= set(windows.ravel())
    assert (pick_background(windows, seed=1, size=10) == drawn).all()
    assert len(pick_background(windows[:4], seed=1)) == 4


def test_words_are_shown_as_words() -> None:
    modes = [[1, 1, 1], [0, 1, 1], [-1, -1, -1], [np.nan, np.nan, np.nan]]
    windows = np.stack([np.array(modes, dtype=np.float64), np.full((4, 3), 2.5)], axis=2)
    found = explain_table(
        lambda w: np.nan_to_num(w).sum(axis=(1, 2)), windows, np.zeros((3, 3, 2)), ["mode", "flow"], seed=0,
        categories={"mode": ("boost", "eco")},
    )  # fmt: skip
    assert [row[0] for row in found.shown] == ["eco", "mostly eco", "a word never seen", "missing"]
    assert {row[1] for row in found.shown} == {"2.5"}
