"""Near pairs: the blocked search finds what brute force finds."""

import numpy as np

from components.samples.fingerprint import NEAR, NEAR_OF_CONTRAST
from components.version.duplicates import clusters, near_pairs


def brute_force(values: np.ndarray) -> set[tuple[int, int]]:
    found = set()
    contrast = values.std(axis=1)
    for i in range(len(values) - 1):
        differences = values[i + 1 :] - values[i]
        close = np.sqrt((differences**2).mean(axis=1)) <= NEAR
        alike = differences.std(axis=1) <= NEAR_OF_CONTRAST * np.minimum(contrast[i], contrast[i + 1 :])
        found |= {(i, i + 1 + int(j)) for j in np.flatnonzero(close & alike)}
    return found


def test_the_search_equals_brute_force_over_several_blocks() -> None:
    draw = np.random.default_rng(0)
    base = draw.integers(20, 230, (700, 256)).astype(float)
    base[350:] = base[:350] + draw.choice([-1, 0, 1], (350, 256), p=[0.3, 0.4, 0.3])
    base[600:] += draw.choice([0, 2], (100, 1))
    found = near_pairs([row.astype(np.uint8).tobytes() for row in base])
    assert {tuple(pair) for pair in found.tolist()} == brute_force(base)
    assert len(found) > 250


def test_plain_surfaces_are_not_copies_of_one_another() -> None:
    draw = np.random.default_rng(0)
    plain = [(128 + draw.integers(-1, 2, 256)).astype(np.uint8).tobytes() for _ in range(10)]
    assert len(near_pairs(plain)) == 0


def test_nothing_is_near_to_what_has_no_fingerprint() -> None:
    assert near_pairs([b"", b"", bytes(256)]).shape == (0, 2)
    assert clusters(np.empty((0, 2), np.int64), 3).tolist() == [0, 1, 2]
