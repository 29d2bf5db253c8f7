from itertools import pairwise

import numpy as np
import pytest

from components.explain.shapley import explain_table
from components.explain.timeline import BLOCKS, OTHERS, SENSORS, explain_timeline, time_blocks


@pytest.mark.parametrize("window", [2, 3, 7, 8, 10, 11, 13, 60, 1001])
def test_blocks_cover_every_row_once(window: int) -> None:
    bounds = time_blocks(window)
    assert (bounds[0][0], bounds[-1][1]) == (0, window)
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    lengths = [end - start for start, end in bounds]
    assert 2 <= len(bounds) <= BLOCKS
    assert max(lengths) - min(lengths) <= 1


def test_linear_score_by_hand() -> None:
    # Of a linear score, the value of any group of cells is what they add beside what the background adds there.
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(10, 3))
    windows, background = rng.normal(size=(4, 10, 3)), rng.normal(size=(9, 10, 3))
    extra = (windows - background.mean(axis=0)) * weights
    by_column = extra.sum(axis=1)
    found = explain_timeline(
        lambda some: (some * weights).sum(axis=(1, 2)), windows, background, list("abc"), by_column=by_column, seed=1
    )
    assert found.bounds == ((0, 2), (2, 4), (4, 6), (6, 8), (8, 10))
    by_block = extra.reshape(4, 5, 2, 3).sum(axis=2)
    assert found.blocks == pytest.approx(by_block.sum(axis=2), abs=1e-9)
    for number, names in enumerate(found.sensors):
        assert list(np.abs(by_column[number])["abc".index(names[0])] >= np.abs(by_column[number])) == [True] * 3
        order = ["abc".index(name) for name in names]
        assert found.cells[number] == pytest.approx(by_block[number][:, order], abs=1e-9)
    assert {check.status for check in found.conditions(limit=0.01)} == {"met"}


def _together(windows: np.ndarray) -> np.ndarray:
    """The score rises only while `a` is high in rows 2 and 3 and `b` in rows 4 and 5."""
    high = windows > 5
    return (high[:, 2:4, 0].all(axis=1) & high[:, 4:6, 1].all(axis=1)).astype(float)


def test_what_acts_together_shares_evenly_in_time_and_sensor() -> None:
    window = np.zeros((1, 8, 2))
    window[0, 2:4, 0], window[0, 4:6, 1] = 9.0, 9.0
    scored = []

    def score(some: np.ndarray) -> np.ndarray:
        scored.append(len(some))
        return _together(some)

    found = explain_timeline(score, window, np.zeros((3, 8, 2)), ["a", "b"], by_column=np.array([[0.5, 0.5]]), seed=0)
    assert found.bounds == ((0, 2), (2, 4), (4, 6), (6, 8))
    assert found.blocks[0] == pytest.approx([0, 0.5, 0.5, 0])
    assert found.cells[0] == pytest.approx(np.array([[0, 0], [0.5, 0], [0, 0.5], [0, 0]]))
    assert found.checks.enumerated
    assert found.evaluations == 2 * 16 * 2
    # Blocks, cells, and the window itself: exact values are not computed again to be compared with themselves.
    assert sum(scored) == 3 * (2**4 + found.evaluations) + 1


def test_too_few_coalitions_are_told_by_the_checks() -> None:
    rng = np.random.default_rng(0)
    windows, background = rng.normal(size=(2, 6, 9)), rng.normal(size=(3, 6, 9))

    def score(some: np.ndarray) -> np.ndarray:
        return np.prod(1.5 + np.tanh(some.sum(axis=1)), axis=1) + 3 * some[:, 0, 0]

    names = list("abcdefghi")
    by_column = explain_table(score, windows, background, names, seed=0, evaluations=512).values
    few, many = (
        explain_timeline(score, windows, background, names, by_column=by_column, seed=0, evaluations=budget)
        for budget in (1, 40_000)
    )
    assert few.evaluations == 2 * 64 * 9
    assert not many.checks.enumerated
    assert many.checks.seed_disagreement < few.checks.seed_disagreement / 2
    assert many.checks.exact_disagreement < few.checks.exact_disagreement / 2
    limit = (few.checks.seed_disagreement + many.checks.seed_disagreement) / 2
    assert few.conditions(limit=limit)[0].status == "failed"
    assert many.conditions(limit=limit)[0].status == "met"
    assert few.checks.additivity_residual == pytest.approx(0, abs=1e-12)
    # Each sensor's cells add up to its own value, whatever was drawn.
    order = [names.index(name) for name in few.sensors[0]]
    assert few.cells[0].sum(axis=0) == pytest.approx(by_column[0][order])


def test_many_sensors_play_as_few() -> None:
    rng = np.random.default_rng(0)
    windows, background = rng.normal(size=(2, 6, 40)), np.zeros((2, 6, 40))
    names = [f"s{number}" for number in range(40)]
    by_column = windows.sum(axis=1)
    found = explain_timeline(
        lambda some: some.sum(axis=(1, 2)), windows, background, names, by_column=by_column, seed=0
    )
    assert found.cells.shape == (2, 6, SENSORS + 1)
    assert all(len(sensors) == SENSORS + 1 and sensors[-1] == OTHERS for sensors in found.sensors)
    strongest = int(np.abs(by_column[1]).argmax())
    assert found.sensors[1][0] == f"s{strongest}"
    assert found.cells[1, :, 0] == pytest.approx(windows[1, :, strongest], abs=1e-6)
    assert found.cells[1].sum() == pytest.approx(windows[1].sum())


def test_windows_of_one_row_are_refused() -> None:
    with pytest.raises(ValueError, match="course of time"):
        explain_timeline(
            lambda some: some.sum(axis=(1, 2)), np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), ["a", "b"],
            by_column=np.zeros((1, 2)), seed=0,
        )  # fmt: skip
