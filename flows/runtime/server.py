"""The Prefect API that the flows of this process use: a real server, that of `up`, or one started on demand.

However many processes start at once, they share one on-demand server. Each keeps a shared lock while it needs it; the
server ends itself a few seconds after the last one let go, however that one ended.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import flows
from components.core.errors import UnavailableError
from components.settings import Settings
from flows.runtime.crashes import alive, mark_dead
from flows.runtime.environment import prepare
from flows.runtime.locks import FileLock
from flows.runtime.notes import Places, find, users_lock

_POLL = 0.05
_MOMENT = 0.3
_LONGEST_LOG = 5_000_000
_DRAIN_SECONDS = 5.0
_LEAST_SPACE = 4 << 20  # bytes: its database and that one's log

_early: dict[Path, FileLock] = {}
_hosts: list[subprocess.Popen[bytes]] = []


def start_early(settings: Settings) -> None:
    """Begin to start the on-demand server and return at once; a later `prefect_api` of this process waits for it.

    Call it before prefect is imported: it also sets the variables that keep Prefect inside the workspace.
    """
    prepare(settings)
    home = settings.prefect_home
    if settings.prefect.api_url or home in _early:
        return
    lock = FileLock(users_lock(home))
    if lock.wait_shared(timeout=_MOMENT):
        _early[home] = lock
        if find(home) is None and not _is_held(Places.of(home, kind="on-demand").lock):
            _spawn(settings)


def up_is_running(settings: Settings) -> bool:
    """Whether schedules and automations are at work: `linewright up`'s server answers, or a real one is set."""
    if settings.prefect.api_url:
        return True
    found = find(settings.prefect_home) if settings.prefect_home.is_dir() else None
    return found is not None and found[0] == "up"


@contextmanager
def prefect_api(settings: Settings) -> Iterator[str]:
    """The API URL for flows called inside, which use it; what they logged and reported has arrived afterwards.

    The server is, in this order, the one `settings.prefect.api_url` names, that of a running `linewright up`, a healthy
    one of this workspace that another process started, or a new one.

    Raises:
        UnavailableError: The named server does not answer, a new one does not start in time, or it is gone by now.
    """
    prepare(settings)
    with FileLock(users_lock(settings.prefect_home)) as users, answering():
        url = settings.prefect.api_url or _shared(settings, users=users)
        with use_api(settings, url=url), ExitStack() as stack:
            if settings.prefect.api_url:
                check_server(url)
            else:
                mark_dead(url, prefect_home=settings.prefect_home)
                stack.enter_context(alive(settings.prefect_home))
            try:
                yield url
            finally:
                _drain()


@contextmanager
def answering() -> Iterator[None]:
    """Raises UnavailableError where Prefect's client, after its own retries, got no answer or a refusal."""
    from httpx import HTTPError

    try:
        yield
    except HTTPError as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UnavailableError(
            f"Prefect's server does not answer any more: {said[:200]}.",
            hint="What was finished is kept; give the command again.",
        ) from error


def _shared(settings: Settings, *, users: FileLock) -> str:
    """URL of the workspace's server, which stays while `users` is held."""
    home = settings.prefect_home
    deadline = time.monotonic() + settings.prefect.startup_timeout
    # Only a server that is about to end holds this lock alone.
    if not users.wait_shared(timeout=settings.prefect.startup_timeout):
        raise _late(settings)
    if early := _early.pop(home, None):
        early.release()
    places = Places.of(home, kind="on-demand")
    host: subprocess.Popen[bytes] | None = None
    while (found := find(home)) is None:
        if (host is None or host.poll() is not None) and not _is_held(places.lock):
            _refuse_failed(host, settings=settings)
            host = _spawn(settings)
        if time.monotonic() > deadline:
            raise _late(settings)
        time.sleep(_POLL)
    return found[1]


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    home = settings.prefect_home
    _refuse_full(home)
    for name in ("server.log", "flows.log"):
        _shorten(home / name)
    _hosts[:] = [host for host in _hosts if host.poll() is None]
    arguments = [str(home), "on-demand", "0", str(settings.prefect.startup_timeout)]
    # A session of its own: Ctrl-C in a terminal must not take the server from the other commands.
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.runtime.host", *arguments],
            cwd=code_root(),
            env=host_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _hosts.append(process)
    return process


def code_root() -> Path:
    """Folder that holds the package `flows`."""
    return Path(flows.__path__[0]).parent


def host_environment() -> dict[str, str]:
    """This process's variables for a server: its records go to its own log, and an API URL would confuse it."""
    dropped = {"PREFECT_LOGGING_SETTINGS_PATH", "PREFECT_API_URL"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _is_held(path: Path) -> bool:
    with FileLock(path) as lock:
        return not lock.try_shared()


def _refuse_failed(host: "subprocess.Popen[bytes] | None", *, settings: Settings) -> None:
    """Raises UnavailableError where our host failed by itself; one that was killed or came second is started again."""
    if host is None or (host.returncode or 0) <= 0:
        return
    log = settings.prefect_home / "server.log"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and not line.startswith("File ")]
    last = [*lines[-1:], *errors[-1:]]
    why = last[-1] if last else "it wrote nothing"
    raise UnavailableError(f"Prefect's server ended at its start: {why}", hint=f"See {log}.")


def _refuse_full(home: Path) -> None:
    """Raises UnavailableError where the disk has no room: what Prefect says then, if it can, helps nobody."""
    free = shutil.disk_usage(home).free
    if free < _LEAST_SPACE:
        raise UnavailableError(
            f"The disk of {home} has {free // 1024:,} kB left, too little for Prefect's server.",
            hint="Free some space, then give the command again.",
        )


def _late(settings: Settings) -> UnavailableError:
    return UnavailableError(
        f"Prefect's server did not answer within {settings.prefect.startup_timeout:g} s.",
        hint=f"See {settings.prefect_home / 'server.log'}, or raise prefect.startup_timeout.",
    )


def _shorten(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))


def wait_for_up(settings: Settings) -> str:
    """API URL of the server of `up`, which is about to be there.

    Raises:
        UnavailableError: It does not answer in time.
    """
    deadline = time.monotonic() + settings.prefect.startup_timeout
    while True:
        found = find(settings.prefect_home) if settings.prefect_home.is_dir() else None
        if found is not None and found[0] == "up":
            return found[1]
        if time.monotonic() > deadline:
            raise _late(settings)
        time.sleep(_POLL)


@contextmanager
def use_api(settings: Settings, *, url: str) -> Iterator[None]:
    """Make flows of this context call `url`, also where prefect was imported before the variables were set."""
    prepare(settings)
    from prefect.settings import temporary_settings

    _quiet()
    home = settings.prefect_home
    updates: dict[Any, Any] = {"api.url": url, "home": home, "results.local_storage_path": home / "storage"}
    if not settings.prefect.api_url:
        # Nobody listens to the heartbeats of a run that a command started; their thread ends up to a second late.
        updates["flows.heartbeat_frequency"] = None
    with temporary_settings(updates=updates):
        yield


def _quiet() -> None:
    """Apply the workspace's logging file where prefect had set itself up without it."""
    import logging
    from logging.config import dictConfig

    from prefect.logging.configuration import PROCESS_LOGGING_CONFIG, load_logging_config
    from prefect.logging.handlers import PrefectConsoleHandler

    config = load_logging_config(Path(os.environ["PREFECT_LOGGING_SETTINGS_PATH"]))
    if PROCESS_LOGGING_CONFIG.get("handlers") == config["handlers"]:
        return
    dictConfig(config)
    PROCESS_LOGGING_CONFIG.update(config)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, PrefectConsoleHandler)]:
        root.removeHandler(handler)


def check_server(url: str) -> None:
    """Raises UnavailableError unless the real server at `url`, already in use, answers."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        raise UnavailableError(
            f"Prefect's server at {url} does not answer: {type(problem).__name__}: {problem}.",
            hint="Start it, correct prefect.api_url, or clear it to use one on demand.",
        )


def _drain() -> None:
    """Deliver what flows have queued, while the server is certain to be there."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=_DRAIN_SECONDS, at_exit=False)
