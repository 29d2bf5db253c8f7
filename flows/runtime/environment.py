"""Everything that Prefect must be told so that it stays inside the workspace, quiet and off the network."""

import json
import os
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError
from components.settings import Settings

_LOCAL = "127.0.0.1,localhost"


def environment(settings: Settings) -> dict[str, str]:
    """Variables for this process and its children; they must be set before prefect is imported to hold fully.

    Raises:
        ConfigError: Prefect cannot use the database that the settings name.
    """
    home = settings.prefect_home
    proxies = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    database = settings.prefect.database_url.get_secret_value()
    driver = database.partition("://")[0]
    if driver not in ("", "postgresql+asyncpg", "sqlite+aiosqlite"):
        # Looked at here and not where settings are read: that error would show the URL with its password.
        raise ConfigError(
            "prefect.database_url is not one that Prefect can use.",
            hint="Use postgresql+asyncpg:// or sqlite+aiosqlite://.",
        )
    return {
        **({"PREFECT_SERVER_DATABASE_CONNECTION_URL": database} if database else {}),
        "PREFECT_HOME": str(home),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "storage"),
        "PREFECT_LOGGING_SETTINGS_PATH": str(_logging_file(settings)),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Prefect's own fallback would start one server a process: with several at once no flow runs.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "NO_PROXY": proxies if _LOCAL in proxies else f"{proxies},{_LOCAL}".strip(","),
    }


def prepare(settings: Settings) -> dict[str, str]:
    """Make Prefect's folder and logging file, set `environment` in this process, and return it."""
    settings.prefect_home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _logging_file(settings)
    text = json.dumps(_logging(settings.prefect_home / "flows.log"), indent=1)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    found = environment(settings)
    os.environ.update(found)
    return found


def _logging_file(settings: Settings) -> Path:
    return settings.prefect_home / "logging.json"


def _logging(log: Path) -> dict[str, Any]:
    """Prefect's records go to `log`, and those of runs to the server; the terminal is the command's own."""
    api: dict[str, Any] = {"handlers": ["api"], "level": "NOTSET"}
    quiet: dict[str, Any] = {"level": "WARNING", "handlers": ["file"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"}},
        "handlers": {
            # Prefect substitutes $NAME in this file.
            "file": {
                "class": "logging.handlers.WatchedFileHandler",
                "filename": str(log).replace("$", "$$"),
                "formatter": "line",
                "delay": True,
                "encoding": "utf-8",
            },
            "api": {"class": "prefect.logging.handlers.APILogHandler", "level": 0},
        },
        "loggers": {
            "prefect": {"level": "INFO", "handlers": ["file"], "propagate": False},
            "prefect.extra": {"level": "INFO", "handlers": ["file", "api"], "propagate": False},
            "prefect.flow_runs": api,
            "prefect.task_runs": api,
            "prefect._internal": quiet,
            "EventsWorker": quiet,
            "APILogWorker": quiet,
        },
    }
