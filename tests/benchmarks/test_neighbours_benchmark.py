"""What the benchmark of neighbours measures."""

import numpy as np

from benchmarks.neighbours import measure
from components.models import nearest


def test_every_way_is_timed_and_faiss_agrees():
    random = np.random.default_rng(0)
    bank, queries = (random.normal(size=(n, 12)).astype(np.float32) for n in (600, 80))
    before = nearest._CUT_FROM
    row = measure(bank, queries, neighbours=3)
    assert before == nearest._CUT_FROM
    assert row["ours"] == row["product"]  # by its size
    assert all(row[name] > 0 for name in ("product", "sketched", "faiss"))
    assert row["apart"] < 1e-3
