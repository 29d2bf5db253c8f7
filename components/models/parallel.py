"""Numeric libraries on one thread, and several items at once instead.

Torch's own threads wait for each other by spinning: beside another busy process one image took seventy times as long on
two threads as on one (2.3 s against 0.034 s). Items on threads of our own never wait for each other.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def one_thread() -> Iterator[None]:
    """NumPy's products and, where it is loaded, torch use one thread inside, as many as before afterwards."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


def each(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`function` of every item, in order, as many at once as there are processors for this process."""
    with one_thread():
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(min(len(items), processors())) as pool:
            return list(pool.map(function, items))


@lru_cache(maxsize=1)
def _controller() -> Any:
    import numpy as np  # loads the library that is then found
    from threadpoolctl import ThreadpoolController

    np.dot(1, 1)
    return ThreadpoolController()
