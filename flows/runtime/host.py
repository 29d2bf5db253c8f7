"""The process that is a workspace's Prefect server: `python -m flows.runtime.host PREFECT_HOME KIND PORT TIMEOUT`.

KIND is "on-demand" (the API alone; ends itself once no process has shared the users' lock for a few seconds) or "up"
(all services and the pages; ends with its parent). PORT 0 takes a free one. It ends at once, with code 0, where
another process is already the server. There is no second process to be left behind: killing this one ends the server.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.runtime import garbage
from flows.runtime.locks import FileLock
from flows.runtime.notes import IDENTITY_PATH, Places, identity, users_lock, write_note

if TYPE_CHECKING:
    import uvicorn

IDLE_SECONDS = 3.0
"""An on-demand server without users ends after this long: the next command of a script still finds it."""

_POLL = 0.25
_GRACE = 3
_LOOKS_SECONDS = 0.3

_Message = MutableMapping[str, Any]
_App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]


def server_variables(kind: str) -> dict[str, str]:
    """What a server of `kind` is told beside `flows.runtime.environment`."""
    if kind == "up":
        return {"PREFECT_SERVER_LOGGING_LEVEL": "INFO"}
    return {
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_UI_ENABLED": "false",
        # Block types serve the pages only; registering them takes two seconds of the first start. Without the memo
        # the server of `up` would believe that they are registered.
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }


def identified(app: _App, *, answer: str) -> _App:
    """`app`, answering `IDENTITY_PATH` with `answer`."""

    async def serve(
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http" or scope["path"] != IDENTITY_PATH:
            return await app(scope, receive, send)
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return await send({"type": "http.response.body", "body": answer.encode()})

    return serve


class Host:
    """One server from its lock to its end."""

    def __init__(self, home: Path, *, kind: str, port: int, timeout: float) -> None:
        self._home = home
        self._kind = kind
        self._timeout = timeout
        self._places = Places.of(home, kind="up" if kind == "up" else "on-demand")
        self._users = FileLock(users_lock(home))
        self._parent = os.getppid()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._server: uvicorn.Server | None = None
        self._started = threading.Event()

    def run(self) -> None:
        """Serve until idle, orphaned or told to stop."""
        threading.Thread(target=self._watch, daemon=True).start()
        # Two servers that bring one database up to date at the same moment break each other.
        with FileLock(self._home / "migrate.lock") as migrating:
            if not migrating.wait_exclusive(timeout=self._timeout):
                sys.exit("Another server has been starting for too long.")
            self._server = self._build()
            threading.Thread(target=self._announce, args=(migrating,), daemon=True).start()
            try:
                self._server.run(sockets=[self._socket])
            finally:
                self._places.note.unlink(missing_ok=True)

    def _build(self) -> "uvicorn.Server":
        import uvicorn
        from prefect.server.api.server import create_app

        ephemeral = self._kind != "up"
        app: Any = create_app(ephemeral=ephemeral, final=True)
        config = uvicorn.Config(
            identified(app, answer=identity(self._home)),
            log_level="info" if self._kind == "up" else "error",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=30,
        )
        return uvicorn.Server(config)

    def _announce(self, migrating: FileLock) -> None:
        """Once it answers, note the address and let another server bring its database up to date."""
        assert self._server is not None
        while not self._server.started:
            time.sleep(0.02)
        write_note(self._places.note, url=f"http://127.0.0.1:{self._socket.getsockname()[1]}")
        self._started.set()
        migrating.release()

    def _watch(self) -> None:
        """End the process when it takes too long to start, when nobody needs it, or when its parent is gone."""
        try:
            self._look()
        finally:
            # A server that nobody watches would stay for good, perhaps with the users' lock: no command would find it
            # again, nor start another.
            os._exit(1)

    def _look(self) -> None:
        began = idle_since = time.monotonic()
        while True:
            time.sleep(_POLL)
            now = time.monotonic()
            if not self._started.is_set() and now - began > self._timeout:
                self._end("It did not start in time.")
            if self._kind == "up":
                if os.getppid() != self._parent:
                    self._end("The process manager is gone.")
            elif not self._users.try_exclusive():
                idle_since = now
            elif now - idle_since > IDLE_SECONDS:
                # The lock is kept to the very end: who wants to use a server waits for it, then starts another.
                self._end("Nobody needs it any more.")
            else:
                self._users.release()

    def _end(self, why: str) -> None:
        with suppress(OSError):  # on a full disk
            print(why, file=sys.stderr, flush=True)  # noqa: T201 - the server's own log
        self._places.note.unlink(missing_ok=True)
        if self._server is not None and self._started.is_set():
            self._server.should_exit = True
            time.sleep(_GRACE + 2)
        os._exit(0)


def main() -> None:
    """Become the server unless there is one."""
    garbage.look_rarely()
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("kind", choices=["on-demand", "up"])
    parser.add_argument("port", type=int)
    parser.add_argument("timeout", type=float)
    arguments = parser.parse_args()
    kind = arguments.kind
    with FileLock(Places.of(arguments.home, kind=kind).lock) as lock:
        # Others look whether it is held, each for an instant; a server holds it for good.
        if not lock.wait_exclusive(timeout=_LOOKS_SECONDS):
            return
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        lock.write(str(os.getpid()))
        os.environ.update(server_variables(kind))
        try:
            Host(arguments.home, kind=kind, port=arguments.port, timeout=arguments.timeout).run()
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr, flush=True)  # noqa: T201 - the server's own log
            os._exit(1 if end.code else 0)
        # Prefect's threads can hold an interpreter that ends for seconds; there is nothing left to save.
        os._exit(0)


if __name__ == "__main__":
    main()
