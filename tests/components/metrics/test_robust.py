import numpy as np
import pytest

from components.metrics.robust import spread


def test_of_normal_values_it_is_their_deviation_and_a_broken_reading_is_rare():
    values = np.random.default_rng(0).normal(5.0, 2.0, size=(10_000, 1))
    values[7] = 65535
    found = spread(values, rare=0.01)
    assert found.middle == pytest.approx(5.0, abs=0.1)
    assert found.deviation == pytest.approx(2.0, rel=0.03)
    assert (found.least, found.most) == (np.sort(values[:, 0])[100], np.sort(values[:, 0])[-101])


def test_where_most_values_are_equal_the_others_tell():
    values = np.zeros((100, 2))
    values[:5, 0] = [1, 2, 3, 4, 1e100]
    found = spread(values, rare=0.01)
    assert found.deviation.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("count", [2, 3])
def test_of_few_values_one_of_each_end_is_rare(count):
    values = np.arange(float(count))[:, None]
    found = spread(values, rare=0.01)
    assert (found.least, found.most) == (1, count - 2)
