"""Torch on one thread.

Torch's own threads wait for each other by spinning: beside another busy process one image took seventy times as long on
two threads as on one (2.3 s against 0.034 s).
"""

from collections.abc import Iterator
from contextlib import contextmanager


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
