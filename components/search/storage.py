"""Optuna's tables in the records database, and how validation scores are kept in them."""

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from numpy.typing import NDArray
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from components.core.errors import no_answer

BUSY_TIMEOUT = 30.0
"""Seconds a writer waits for SQLite's lock."""

_CHUNK = 32_000
"""Characters of one stored attribute; MariaDB's TEXT holds 65,535 bytes."""


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Optuna's storage at the SQLAlchemy `url` (SQLite, PostgreSQL, MariaDB), its tables made if they are missing.

    Raises:
        UnavailableError: The database does not answer.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    parsed = make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT}} if sqlite else {"pool_pre_ping": True}
    # Two lines may make the tables at the same moment; the one that comes second finds them on its next try.
    tries = Retrying(
        retry=retry_if_exception_type((SQLAlchemyError, optuna.exceptions.StorageInternalError)),
        stop=stop_after_attempt(5),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        reraise=True,
    )
    with answering(url):
        storage: optuna.storages.RDBStorage = tries(optuna.storages.RDBStorage, url, engine_kwargs=options)
        if sqlite:
            tries(_write_ahead, storage.engine)
    return storage


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Tell what Optuna and SQLAlchemy raise of the database at `url` as one error of ours.

    Raises:
        UnavailableError: Instead of theirs.
    """
    try:
        yield
    except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
        # Optuna says what it thinks is typical; what the driver said is below it.
        below = error if isinstance(error, DBAPIError) else error.__cause__
        said = getattr(below, "orig", None) or below or error
        raise no_answer(make_url(url).render_as_string(hide_password=True), said) from error


def _write_ahead(engine: sqlalchemy.Engine) -> None:
    # For this change alone SQLite does not wait while another connection writes, whatever the timeout.
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))


def pack_scores(scores: Sequence[float] | NDArray[np.float64]) -> dict[str, str]:
    """Scores ``(N,)`` as text attributes: base64 of little-endian float64, in chunks.

    >>> unpack_scores(pack_scores([0.1, 0.25])).tolist()
    [0.1, 0.25]
    """
    text = base64.b64encode(np.asarray(scores, dtype="<f8").tobytes()).decode()
    return {f"scores.{start // _CHUNK}": text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)}


def unpack_scores(attrs: Mapping[str, Any]) -> NDArray[np.float64]:
    """What `pack_scores` packed, from among other attributes."""
    chunks = sorted((int(name.split(".")[1]), text) for name, text in attrs.items() if name.startswith("scores."))
    return np.frombuffer(base64.b64decode("".join(text for _, text in chunks)), dtype="<f8").astype(np.float64)
