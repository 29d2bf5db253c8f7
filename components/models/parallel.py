"""Numeric libraries on one thread, and several items at once instead.

Torch's and BLAS' own threads wait for each other by spinning: beside another busy process one image took seventy times
as long on two threads as on one (2.3 s against 0.034 s). Items on threads of our own never wait for each other.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch uses one thread an operation inside, as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def products_on_one_thread() -> AbstractContextManager[None]:
    """NumPy's products use one thread inside, in the whole process."""
    return _PRODUCTS.on_one_thread()


def each(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`function` of every item, in order, as many at once as there are processors for this process.

    NumPy's products use one thread each meanwhile.
    """
    with products_on_one_thread():
        if len(items) < 2 or processors() < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(min(len(items), processors())) as pool:
            return list(pool.map(function, items))


class _Products:
    """The limit is the whole process's: who comes first sets it, who leaves last takes it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit: Any = None

    @contextmanager
    def on_one_thread(self) -> Iterator[None]:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._limit = _controller("scipy.linalg.cython_blas" in sys.modules).limit(limits=1, user_api="blas")
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._limit.restore_original_limits()


_PRODUCTS = _Products()


@lru_cache(maxsize=2)
def _controller(compiled: bool) -> Any:  # noqa: ARG001 - the key
    """Of the libraries that are loaded; with `compiled` code (`components.models.visiting`) comes another one."""
    import numpy as np  # loads the library that is then found
    from threadpoolctl import ThreadpoolController

    np.dot(1, 1)
    return ThreadpoolController()
