"""One seed a retrain; every part derives its own from it and its name, so no part's draws move another's."""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed in [0, 2**32) from `seed` and the names of the part that will use it.

    >>> derive_seed(7, "search", 0) == derive_seed(7, "search", 0)
    True
    >>> derive_seed(7, "search", 0) == derive_seed(7, "search", 1)
    False
    """
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy's default generator, seeded with `derive_seed(seed, *names)`."""
    return np.random.default_rng(derive_seed(seed, *names))
