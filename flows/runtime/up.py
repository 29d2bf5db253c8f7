"""`linewright up`: Prefect's server, MLflow's server and the schedules in one foreground process.

Supervisor runs inside this process and restarts what ends by itself. Each service has a wrapper (`child`) that ends it
when this process is gone, so that not even kill -9 leaves one behind for long.
"""

import json
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.core.errors import ConflictError, UnavailableError
from components.core.wording import masked
from components.settings import Settings
from flows.deployments import READY_FILE, read_lines
from flows.runtime.child import PLAN, STOP_SECONDS
from flows.runtime.environment import prepare
from flows.runtime.locks import FileLock
from flows.runtime.notes import answer, is_ours
from flows.runtime.processes import MARK, end, marked
from flows.runtime.server import check_server, code_root, host_environment, use_api

PREFECT_PORT = 4200
MLFLOW_PORT = 5000

_PORTS_TRIED = 100
_LEFT_OVER_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_STOP_SECONDS = STOP_SECONDS + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its arguments (none: it runs elsewhere already), its address for people, and whether it is well."""

    name: str
    arguments: tuple[str, ...]
    url: str
    is_well: Callable[[], bool]


def up(
    settings: Settings,
    *,
    prefect_port: int = PREFECT_PORT,
    mlflow_port: int = MLFLOW_PORT,
    console: Console | None = None,
) -> None:
    """Run everything until Ctrl-C or SIGTERM; nothing is left running afterwards. Call it in the main thread.

    Args:
        settings: Of the workspace. A Prefect server or an MLflow server that they name is used, not started.
        prefect_port: Preferred port; the next free one is taken where it is busy.
        mlflow_port: The same.
        console: Where the table of addresses is printed.

    Raises:
        ConfigError: A line's file cannot be used.
        ConflictError: Another `up` of this workspace is running.
        UnavailableError: The Prefect server that the settings name does not answer; a service does not start.
    """
    read_lines(settings)
    run = settings.home / "run"
    run.mkdir(exist_ok=True, mode=0o700)
    with FileLock(run / "up.lock") as lock:
        if not lock.try_exclusive():
            raise ConflictError(
                f"linewright up is already running for {settings.home} (process {lock.read().strip() or 'unknown'}).",
                hint="Use that one, or stop it first.",
            )
        lock.write(str(os.getpid()))
        end(marked(settings.home), grace=_LEFT_OVER_SECONDS)
        (run / READY_FILE).unlink(missing_ok=True)
        if settings.prefect.api_url:
            with use_api(settings, url=settings.prefect.api_url):
                check_server(settings.prefect.api_url)
        prepare(settings)
        services = _services(settings, prefect_port=prefect_port, mlflow_port=mlflow_port)
        _supervise(services, settings=settings, console=console or Console())


def free_port(preferred: int, *, taken: frozenset[int] = frozenset()) -> int:
    """`preferred`, or the next port on 127.0.0.1 that nobody listens on.

    Raises:
        UnavailableError: The hundred ports from `preferred` on are all busy.
    """
    for port in range(preferred, min(preferred + _PORTS_TRIED, 65_536)):
        with socket.socket() as probe:
            # As the servers will bind: a connection that is still closing does not count as busy.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in taken:
                return port
    raise UnavailableError(f"No free port from {preferred} on.", hint="Give another port.")


def _services(settings: Settings, *, prefect_port: int, mlflow_port: int) -> list[Service]:
    port = free_port(prefect_port)
    return [
        _prefect(settings, port=port),
        _mlflow(settings, port=free_port(mlflow_port, taken=frozenset({port}))),
        Service(
            name="schedules",
            arguments=(sys.executable, "-m", "flows.deployments", "--home", str(settings.home)),
            url="",
            is_well=(settings.home / "run" / READY_FILE).exists,
        ),
    ]


def _prefect(settings: Settings, *, port: int) -> Service:
    if settings.prefect.api_url:
        return Service(name="prefect", arguments=(), url=settings.prefect.api_url, is_well=lambda: True)
    home, url = settings.prefect_home, f"http://127.0.0.1:{port}"
    arguments = (sys.executable, "-m", "flows.runtime.host", str(home), "up", str(port))
    return Service(
        name="prefect",
        arguments=(*arguments, str(settings.prefect.startup_timeout)),
        url=url,
        is_well=lambda: is_ours(url, prefect_home=home),
    )


def _mlflow(settings: Settings, *, port: int) -> Service:
    uri = settings.tracking_uri
    if uri.startswith(("http://", "https://")):
        return Service(name="mlflow", arguments=(), url=uri, is_well=lambda: True)
    url = f"http://127.0.0.1:{port}"
    # The database's URL, which may hold a password, goes through the environment.
    arguments = (sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    return Service(name="mlflow", arguments=arguments, url=url, is_well=lambda: answer(f"{url}/health") is not None)


def _variables(services: list[Service], *, settings: Settings) -> dict[str, str]:
    """What every process below this one inherits."""
    return {
        **host_environment(),
        MARK: str(settings.home),
        PLAN: json.dumps({service.name: service.arguments for service in services}),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(code_root()), os.environ.get("PYTHONPATH", "")])),
        "MLFLOW_BACKEND_STORE_URI": settings.tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": settings.artifact_root,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _supervise(services: list[Service], *, settings: Settings, console: Console) -> None:
    from supervisor.supervisord import Supervisor, asyncore

    options = options_of([service for service in services if service.arguments], run=settings.home / "run")
    supervisor: Any = Supervisor(options)
    watch = _Watch(services, settings=settings, console=console, supervisor=supervisor)
    before, inherited = dict(os.environ), _variables(services, settings=settings)
    os.environ.clear()
    os.environ.update(inherited)
    threading.Thread(target=watch.run, daemon=True).start()
    try:
        supervisor.main()
    except asyncore.ExitNow:
        console.print("Stopped.")
    finally:
        watch.stop.set()
        end(marked(settings.home), grace=1.0)
        os.environ.clear()
        os.environ.update(before)
    if watch.problem is not None:
        raise watch.problem


def options_of(services: list[Service], *, run: Path) -> Any:
    """Supervisor's options; its log, its configuration and the services' logs lie in the existing folder `run`.

    Paths are set as attributes: in the file supervisor would expand a `%` in them, twice in some.
    """
    from supervisor.options import ServerOptions

    config = run / "supervisord.conf"
    config.write_text(_configuration(services), encoding="utf-8")
    options: Any = ServerOptions()
    options.realize(["--nodaemon", "--silent", "--configuration", str(config)])
    options.first, options.test = True, False
    options.logfile, options.pidfile = str(run / "supervisord.log"), str(run / "supervisord.pid")
    for group in options.process_group_configs:
        (program,) = group.process_configs
        program.command = shlex.join([sys.executable, "-m", "flows.runtime.child", program.name])
        program.directory = str(code_root())
        program.stdout_logfile = str(run / f"{program.name}.log")
    return options


def _configuration(services: list[Service]) -> str:
    shared = """\
command = set in Python
autorestart = true
; A service that ends within this time did not start; it is tried once more, then all is stopped.
startsecs = 20
startretries = 1
killasgroup = true
redirect_stderr = true
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 1
"""
    # Stopped in the reverse of their priority: the schedules say goodbye to a living server.
    programs = [
        f"[program:{service.name}]\npriority = {position}\nstopwaitsecs = {int(_STOP_SECONDS)}\n{shared}"
        for position, service in enumerate(services, start=1)
    ]
    return "\n".join(["[supervisord]\nnodaemon = true\nlogfile_maxbytes = 5MB\nlogfile_backups = 1\n", *programs])


class _Watch:
    """Looks at the services from a thread: prints the table once all are well, stops all when one cannot be kept up."""

    def __init__(self, services: list[Service], *, settings: Settings, console: Console, supervisor: Any) -> None:
        self._services = services
        self._settings = settings
        self._console = console
        self._supervisor = supervisor
        self.problem: UnavailableError | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        deadline = time.monotonic() + self._settings.prefect.startup_timeout
        waiting = list(self._services)
        with self._console.status("Starting…"):
            while waiting and not self.stop.wait(_LOOK_SECONDS):
                waiting = [service for service in waiting if not service.is_well()]
                if self._given_up() or (waiting and time.monotonic() > deadline):
                    return self._give_up(self._given_up() or waiting[0].name)
        if not self.stop.is_set():
            self._console.print(self._table())
        while not self.stop.wait(_LOOK_SECONDS):
            if name := self._given_up():
                return self._give_up(name)
        return None

    def _given_up(self) -> str:
        """Name of a service that supervisor no longer restarts, or ""."""
        from supervisor.states import ProcessStates

        for name, group in list(self._supervisor.process_groups.items()):
            if any(process.get_state() == ProcessStates.FATAL for process in group.processes.values()):
                return str(name)
        return ""

    def _give_up(self, name: str) -> None:
        from supervisor.states import SupervisorStates

        log = self._settings.home / "run" / f"{name}.log"
        self.problem = UnavailableError(f"{name} does not run.", hint=f"See {log}.")
        self._supervisor.options.mood = SupervisorStates.SHUTDOWN

    def _table(self) -> Table:
        table = Table("service", "address", title="Linewright is up; Ctrl-C stops all", title_justify="left")
        lines = len(list(self._settings.lines.glob("*.yaml")))
        for service in self._services:
            table.add_row(service.name, masked(service.url) or f"{lines} {'line' if lines == 1 else 'lines'} deployed")
        table.caption = f"Logs: {self._settings.home / 'run'}"
        return table
