import numpy as np

from components.core.contracts import Column, TableSchema
from components.models.encoding import CLIP, TableEncoder

ONE = TableSchema(features=(Column(name="flow", kind="numeric"),))


def encoded(column, training):
    rows = np.asarray(column, dtype=float).reshape(-1, 1, 1)
    return TableEncoder.fit(np.asarray(training, dtype=float).reshape(-1, 1, 1), ONE).encode(rows)[:, 0]


def test_a_second_mode_of_the_machine_is_not_cut():
    idle = np.linspace(-0.01, 0.01, 900)
    run = np.linspace(9.0, 11.0, 100)  # beyond 1,000 quartile ranges of the idle mode
    found = encoded([9.0, 10.0, 11.0], np.concatenate([idle, run]))
    assert (np.abs(found) < CLIP).all()
    assert len(set(found)) == 3


def test_a_broken_reading_does_not_make_all_others_look_alike():
    normal = np.sin(np.arange(1000.0))
    found = encoded([-1.0, 1.0], [*normal, 1e12])
    assert np.ptp(found) > 0.4
    np.testing.assert_allclose(encoded([0.0, 2.0], [-1.0, 1.0] * 50), [0.0, 2.0])
