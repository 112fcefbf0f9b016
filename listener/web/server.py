"""Run the HTTP application in a separate thread, so that it responds even if the main loop hangs."""

from __future__ import annotations

import errno
import os
import socket
import threading

import anyio
import uvicorn
from anyio.abc import TaskStatus
from fastapi import FastAPI

from listener.config import Settings
from listener.errors import ConfigError, ListenerError
from listener.status import Status
from listener.web.connections import Connection

_LOOK_EVERY = 0.5


class WebServer:
    """A component that serves an application on one port until it is cancelled.

    Args:
        app: the result of `create_app`; its routes run in the event loop of the HTTP thread.
        settings: the address to listen on.
        status: `closing` is set when the HTTP side ends.
    """

    def __init__(self, app: FastAPI, settings: Settings, status: Status) -> None:
        self._app = app
        self._settings = settings
        self._status = status

    async def run(self, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Report the port that was bound.

        Raises:
            ConfigError: the address can't be listened on.
            ListenerError: the HTTP thread ended unexpectedly.
        """
        listening = self._bind()
        server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        # From here on it responds without the main loop, even if that hangs forever.
        thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
        thread.start()
        task_status.started(listening.getsockname()[1])
        try:
            while thread.is_alive():  # noqa: ASYNC110 - the end of a thread can only be polled
                await anyio.sleep(_LOOK_EVERY)
        finally:
            self._status.closing = True
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(thread.join)
        raise ListenerError("The HTTP server ended unexpectedly; the log lines above say why.")

    def _bind(self) -> socket.socket:
        # Bound here and not in the thread, so that a port in use ends the start, and callers can connect from here on.
        host, port = self._settings.bind_host, self._settings.bind_port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        everywhere = host == "::" and socket.has_dualstack_ipv6()
        try:
            return socket.create_server((host, port), family=family, dualstack_ipv6=everywhere)
        except OSError as error:
            # The strerror of Python's error contains the address again.
            reason = os.strerror(error.errno or 0)
            remedy = (
                "set HOST to an address of this machine"
                if error.errno == errno.EADDRNOTAVAIL
                else "set HEALTH_CHECK_PORT, or PORT if it is set, to a free port"
            )
            raise ConfigError(
                f"The service can't listen on {host} port {port} ({reason}); {remedy}."
            ) from None
