"""How MLflow is reached: its environment, the first opening of its database, bounded retries, and named errors."""

import logging
import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import urlparse

from filelock import FileLock, Timeout
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from components.adapters.tracking.locations import artifact_root, relocate
from components.core.errors import (
    ConfigError,
    ConflictError,
    LinewrightError,
    UnavailableError,
    UnknownVersionError,
    WorkspaceError,
    first_line,
)
from components.core.names import check_slug
from components.core.wording import masked
from components.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_ANSWER = 5
"""Seconds a server may take to answer the first, smallest request."""

_ANSWERS = {
    "RESOURCE_ALREADY_EXISTS": (ConflictError, "Run the command again."),
    "RESOURCE_DOES_NOT_EXIST": (UnknownVersionError, "Somebody deleted it in MLflow: restore it there."),
    "INVALID_PARAMETER_VALUE": (ConfigError, "Correct the value, or MLflow's configuration."),
}
_OUTSIDE = {"mlflow", "sqlalchemy", "boto3", "botocore", "requests", "urllib3"}


def environment(settings: Settings) -> dict[str, str]:
    """What MLflow reads from the environment, for this process and for a server that is started for this workspace.

    A request is given up after `settings.tracking.timeout` seconds; a server that refuses connections is tried again
    with growing pauses that add up to about as long, at most ten times.
    """
    # MLflow waits 2, 4, 8, ... seconds between tries: n tries wait 2 * (2**n - 1) seconds altogether.
    tries = math.ceil(math.log2(settings.tracking.timeout / 2 + 1))
    found = {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.tracking.timeout),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(min(10, tries)),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "2",
        "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    }
    if settings.objects.endpoint_url:
        found["MLFLOW_S3_ENDPOINT_URL"] = settings.objects.endpoint_url
    if artifact_root(settings).startswith("s3://"):
        found["AWS_DEFAULT_REGION"] = settings.objects.region
    return found


def upgrade(settings: Settings) -> None:
    """Bring the schema of MLflow's database to the installed release; back it up before. A server does its own.

    Raises:
        UnavailableError: The database does not answer.
    """
    os.environ.update(environment(settings))
    if _is_http(settings.tracking_uri):
        return
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

    # The same two calls as `mlflow db upgrade`, in this process and with our errors.
    engine = guarded(settings.tracking_uri, create_sqlalchemy_engine_with_retry, settings.tracking_uri)
    guarded(settings.tracking_uri, _upgrade_db, engine)


class Connection:
    """MLflow's client for one workspace, and the experiment of each line.

    Attributes:
        settings: Of the workspace.
        root: Folder (absolute) or s3:// URL below which every artifact lies.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = artifact_root(settings)
        self._experiments: dict[str, str] = {}
        self._client = self._open()

    def prepare(self) -> None:
        """Make what the first retrain would have to wait for: the registry's tables and the folder of artifacts."""
        self._do(self._client.search_registered_models, max_results=1)
        if not self.root.startswith("s3://"):
            self._do(Path(self.root).mkdir, parents=True, exist_ok=True)

    def describe(self) -> str:
        """One line for `linewright doctor`: release, address, place of artifacts; asks the server or database."""
        from mlflow.version import VERSION

        self._do(self._client.search_experiments, max_results=1)
        return f"{VERSION} at {masked(self.settings.tracking_uri)}, artifacts at {self.root}"

    def relocate(self) -> bool:
        """Rewrite the paths in the workspace's own database after the workspace moved; see `locations.relocate`."""
        return relocate(self.settings)

    def _open(self) -> "MlflowClient":
        os.environ.update(environment(self.settings))
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)  # what goes wrong is raised, by name
        uri = self.settings.tracking_uri
        if _is_http(uri):
            self._check_answers(uri)
            return MlflowClient(tracking_uri=uri, registry_uri=uri)
        # MLflow's own creation of its tables is not safe against a second process.
        try:
            with FileLock(self.settings.home / ".tracking.lock", timeout=self.settings.tracking.timeout):
                client = self._do(MlflowClient, tracking_uri=uri, registry_uri=uri)
                self.relocate()
                return client
        except Timeout as error:
            raise UnavailableError(
                f"Another process has been opening {masked(uri)} for {self.settings.tracking.timeout} s.",
                hint="Wait for it, or stop it.",
            ) from error

    def _check_answers(self, uri: str) -> None:
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        timeout = min(_FIRST_ANSWER, self.settings.tracking.timeout)
        creds = self._do(get_default_host_creds, uri)
        self._do(http_request, creds, "/health", "GET", max_retries=0, timeout=timeout, raise_on_status=False)

    def _do(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return guarded(self.settings.tracking_uri, act, *args, **kwargs)

    def _find_experiment(self, line: str) -> str | None:
        """Identifier of the line's experiment, or None."""
        if line in self._experiments:
            return self._experiments[line]
        found = self._do(self._client.get_experiment_by_name, line)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            self._do(self._client.restore_experiment, found.experiment_id)
        if found.artifact_location != self._location(line):
            raise ConfigError(
                f"MLflow keeps the artifacts of line {line!r} at {found.artifact_location}, "
                f"the settings say {self._location(line)}.",
                hint="Restore the setting tracking.artifacts; the place of a line's artifacts cannot change.",
            )
        self._experiments[line] = str(found.experiment_id)
        return self._experiments[line]

    def _experiment(self, line: str) -> str:
        """Identifier of the line's experiment, which is made if need be."""
        check_slug(line)
        if found := self._find_experiment(line):
            return found
        with suppress(ConflictError):  # another process made it in between; it is found below
            self._do(self._client.create_experiment, line, artifact_location=self._location(line))
        made = self._find_experiment(line)
        assert made is not None
        return made

    def _location(self, line: str) -> str:
        return f"{self.root}/{line}"


def guarded(uri: str, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Result of `act`, which asks MLflow at `uri`; tried again while SQLite is locked, its errors become ours.

    MLflow waits 20 s for SQLite's lock, but a transaction that read first and then writes is refused at once.

    Raises:
        UnavailableError: MLflow, its database or its artifact store does not answer or fails.
        ConflictError: Something of that name exists already.
        UnknownVersionError: A run, model or version is gone.
        ConfigError: MLflow refuses a value.
        WorkspaceError: The database was made by another release of MLflow.
    """
    attempts = Retrying(
        retry=retry_if_exception(_is_lock), stop=stop_after_attempt(8), wait=wait_random_exponential(0.05, max=2),
        reraise=True,
    )  # fmt: skip
    try:
        return attempts(act, *args, **kwargs)
    except Exception as error:
        named = _named(error, uri=uri)
        if named is None:
            raise
        raise named from error


def _is_lock(error: BaseException) -> bool:
    return "database is locked" in str(error)


def _is_http(uri: str) -> bool:
    return urlparse(uri).scheme in {"http", "https"}


def _named(error: Exception, *, uri: str) -> LinewrightError | None:
    """The error of our tree that `error` is, or None if it is a fault of our own."""
    if isinstance(error, LinewrightError) or not _is_outside(error):
        return None
    message = f"MLflow at {masked(uri)}: {masked(first_line(error))}"
    if "out-of-date database schema" in message:
        return WorkspaceError(message, hint="Run `linewright upgrade`.")
    kind, hint = _ANSWERS.get(getattr(error, "error_code", ""), (UnavailableError, ""))
    return kind(message, hint=hint or "Check that the server, database or artifact store runs and is reachable.")


def _is_outside(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _OUTSIDE
