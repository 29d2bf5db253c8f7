"""Keeps a lease while its holder works."""

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from components.core.errors import ConflictError, UnavailableError

_LOG = logging.getLogger(__name__)
L = TypeVar("L")


class HeldLease(Generic[L]):
    """A lease and the daemon thread that renews it every third of `ttl` seconds.

    Args:
        lease: What `renew` is called with.
        renew: Raises ConflictError when the lease is another's.
        ttl: Seconds that the lease lasts.
    """

    def __init__(self, lease: L, *, renew: Callable[[L], None], ttl: float) -> None:
        self.lease = lease
        self._renew = renew
        self._ttl = ttl
        self._refused = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linewright-lease", daemon=True)

    @property
    def taken(self) -> bool:
        """Whether another has the lease by now; one that could not be renewed in time may still be free."""
        return self._refused.is_set()

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """End to renew; returns when the thread has ended."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._ttl / 3):
            try:
                self._renew(self.lease)
            except ConflictError as error:
                _LOG.error("%s", error)
                self._refused.set()
                return
            except UnavailableError as error:
                _LOG.warning("The lease could not be renewed, trying again: %s", error)
