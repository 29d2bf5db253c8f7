import numpy as np
import pandas as pd
import pytest

from components.drift.distances import jensen_shannon, normed_wasserstein, rate_difference
from components.drift.evidently_report import _run, distances


def _halves(old: int, new: int) -> np.ndarray:
    return np.repeat([False, True], [old, new])[None]


def test_shift_by_hand() -> None:
    # Old 0, 2 (mean 1, deviation 1), new 3, 5: each moved by 3 of the old deviation.
    assert normed_wasserstein(np.array([0.0, 2.0, 3.0, 5.0]), new=_halves(2, 2)).tolist() == [3.0]


def test_categories_by_hand() -> None:
    # Nothing in common: square root of ln 2. The same shares: nothing.
    apart = jensen_shannon(np.array([0, 0, 1, 1]), new=_halves(2, 2))
    same = jensen_shannon(np.array([0, 1, 0, 1]), new=_halves(2, 2))
    assert apart[0] == pytest.approx(np.sqrt(np.log(2)))
    assert same[0] == 0.0


def test_rates_by_hand() -> None:
    assert rate_difference(np.array([0.0, 0.0, 0.0, 1.0, 1.0, 0.0]), new=_halves(3, 3))[0] == pytest.approx(2 / 3)


def test_one_empty_side_measures_nothing() -> None:
    values = np.array([np.nan, np.nan, 1.0, 2.0])
    assert normed_wasserstein(values, new=_halves(2, 2)).tolist() == [0.0]
    assert jensen_shannon(np.array([-1, -1, 0, 1]), new=_halves(2, 2)).tolist() == [0.0]


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_evidently(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = 70 + 13 * seed, 25
    numeric = {
        "normal": rng.normal(size=old + new),
        "heavy": rng.standard_cauchy(size=old + new),
        "ties": rng.integers(0, 4, size=old + new).astype(float),
        "tiny": rng.normal(size=old + new) * 1e-6,
        "holes": np.where(rng.random(old + new) < 0.2, np.nan, rng.normal(size=old + new)),
        "infinite": np.where(rng.random(old + new) < 0.1, np.inf, rng.normal(size=old + new)),
    }
    codes = rng.integers(-1, 5, size=old + new)
    names = np.array(["a", "b", "c", "d", "new one", None], dtype=object)[codes]
    names[:old][names[:old] == "new one"] = "a"
    codes[:old][codes[:old] == 4] = 0
    frame = pd.DataFrame({**numeric, "kind": names})
    kinds = dict.fromkeys(numeric, "numeric") | {"kind": "categorical"}
    theirs = distances(frame[:old], frame[old:], columns=list(frame), kinds=kinds)
    ours = {name: normed_wasserstein(values, new=_halves(old, new))[0] for name, values in numeric.items()}
    ours["kind"] = jensen_shannon(codes, new=_halves(old, new))[0]
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        assert value == pytest.approx(ours[name], rel=1e-9, abs=1e-9), name
    if seed == 0:
        reported = _run(frame[:old], frame[old:], kinds, thresholds={}).dict()["metrics"]
        assert theirs == {entry["config"]["column"]: entry["value"] for entry in reported}


def test_many_divisions_equal_one_at_a_time() -> None:
    rng = np.random.default_rng(0)
    values, codes, new = rng.normal(size=30), rng.integers(0, 3, size=30), rng.random((9, 30)) < 0.4
    together = normed_wasserstein(values, new=new), jensen_shannon(codes, new=new)
    for row in range(9):
        assert together[0][row] == pytest.approx(normed_wasserstein(values, new=new[[row]])[0], rel=1e-12)
        assert together[1][row] == pytest.approx(jensen_shannon(codes, new=new[[row]])[0], rel=1e-12)
