"""Bound the connections of the HTTP server in number and time."""

from __future__ import annotations

import asyncio
import resource
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 256
"""The most connections at a time; fewer if the process may have fewer than four times as many descriptors."""

REQUEST_SECONDS = 10.0
"""Seconds from the first byte of a request, or from the connection, until headers and body are whole."""

_DESCRIPTORS = 65536  # enough for any number of slots; more would slow down programs that close all of them


class Connection(H11Protocol):
    """A connection that ends if its request is not whole in time.

    If there are too many connections, the oldest one without a complete request ends, so that a caller who opens many
    and sends nothing does not keep others out.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._opened = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > most_connections():
            idle = [one for one in self.connections if isinstance(one, Connection) and not one._is_busy]
            min(idle, key=lambda one: one._opened, default=self)._abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    @property
    def _is_busy(self) -> bool:
        """Whether a route works on a request of this connection."""
        return self.cycle is not None and not self.cycle.response_complete and not self._is_incomplete

    @property
    def _is_incomplete(self) -> bool:
        """Whether a part of a request is missing. Between two requests, uvicorn's keep-alive timer runs instead."""
        state = self.conn.their_state
        begun = bool(self.conn.trailing_data[0]) or self.timeout_keep_alive_task is None
        return state is h11.SEND_BODY or (state is h11.IDLE and begun)

    def _watch(self) -> None:
        if not self._is_incomplete:
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort(self) -> None:
        self.connections.discard(self)
        self.transport.abort()


def most_connections() -> int:
    """Return the most connections at a time: a quarter of the process's descriptors, and at most `MAX_CONNECTIONS`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(MAX_CONNECTIONS, soft // 4))


def raise_descriptor_limit() -> None:
    """Let this process open as many files as its hard limit allows, because services usually start with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if sys.platform == "linux" and soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
