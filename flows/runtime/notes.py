"""Where a workspace's Prefect server listens. A note is a hint only: the server itself must answer as ours.

Standard library only: the host imports this before it knows whether it is needed.
"""

import http.client
import json
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["up", "on-demand"]

IDENTITY_PATH = "/linewright"
"""Answered by every server of ours with the identity of its Prefect folder."""

_ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Files of one kind of server below Prefect's folder.

    Attributes:
        note: The server's address, as JSON.
        lock: Held alone by the process that is the server, from before it starts until it is gone.
    """

    note: Path
    lock: Path

    @classmethod
    def of(cls, prefect_home: Path, *, kind: Kind) -> "Places":
        """The files of `kind` below `prefect_home`."""
        return cls(note=prefect_home / f"{kind}.json", lock=prefect_home / f"{kind}.lock")


def users_lock(prefect_home: Path) -> Path:
    """Lock that every process which needs the on-demand server shares."""
    return prefect_home / "users.lock"


def identity(prefect_home: Path) -> str:
    """What a server of this folder answers: its place and inode, so that a copied or moved workspace differs."""
    found = prefect_home.stat()
    return f"{prefect_home.resolve()}:{found.st_dev}:{found.st_ino}"


def write_note(path: Path, *, url: str) -> None:
    """Note the server's address (without path); whole or not at all."""
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    temporary.replace(path)


def find(prefect_home: Path) -> tuple[Kind, str] | None:
    """The kind and API URL of a healthy server of this folder: that of `up` before one on demand, or None."""
    for kind in ("up", "on-demand"):
        url = _noted(Places.of(prefect_home, kind=kind).note)
        if url and is_ours(url, prefect_home=prefect_home):
            return kind, f"{url}/api"
    return None


def is_ours(url: str, *, prefect_home: Path) -> bool:
    """Whether a server at `url` answers within three seconds, and as one of this folder."""
    return answer(url + IDENTITY_PATH) == identity(prefect_home).encode()


def answer(url: str) -> bytes | None:
    """Body of a successful answer from `url` on this machine, or None. Proxies are not asked."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        body = response.read(1 << 16)
        return body if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _noted(path: Path) -> str:
    # A left-over may hold anything; only the answer of the server counts.
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        url = str(note["url"])
        urllib.parse.urlsplit(url).port  # noqa: B018 - raises ValueError where it is no port
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url if url.startswith("http://127.0.0.1:") else ""
