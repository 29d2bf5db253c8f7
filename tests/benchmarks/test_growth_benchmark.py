"""What the benchmark of growth measures."""

import json

import numpy as np
import pytest

from benchmarks import growth
from benchmarks.growth import GROWING, Gravel, exponent, measure


def test_an_image_is_the_same_whatever_it_is_asked_for_with():
    few, many = Gravel(3, side=64), Gravel(50, side=64)
    assert np.array_equal(few.take([2])[0], many.take([7, 2])[1])
    assert not np.array_equal(few.take([1])[0], few.take([2])[0])
    assert few.take([0])[0].shape == (64, 64, 3)
    assert few.take([0])[0].dtype == np.uint8


def test_a_straight_line_through_logarithms():
    assert exponent([100, 1000], [5, 50]) == pytest.approx(1)
    assert exponent([100, 1000, 5000], [7, 7, 7]) == pytest.approx(0)


def test_a_fit_has_every_figure_and_says_what_was_sampled():
    row = measure(20, size=128, max_patches=1000)
    assert row["seen"] == 20 * 64
    assert row["kept"] == 1000
    assert row["centres"] == 20
    assert all(row[name] >= 0 for name in GROWING)
    assert row["peak_mb"] > row["over_mb"]
    assert row["fit_s"] == pytest.approx(row["read_s"] + row["coreset_s"] + row["rest_s"])


def test_the_object_that_is_printed_has_the_parts_of_every_benchmark(monkeypatch, capsys):
    row = dict.fromkeys(GROWING, 1.0)
    monkeypatch.setattr(growth, "_apart", lambda images, _: {"images": images, **row})
    monkeypatch.setattr("sys.argv", ["growth", "--sizes", "2", "4", "--json"])
    growth.main()
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["ours", "peer", "ratio"]
    assert found["ours"]["exponent"]["fit_s"] == pytest.approx(0)
