"""Events by LISTEN, on a separate connection that is probed and replaced when it fails."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import asyncpg
import structlog

from listener.database.postgres import CONNECTION_ERRORS, connect
from listener.errors import DatabaseUnavailable
from listener.events.base import Wakeable, reconnect
from listener.log import reason_of
from listener.metrics import Metrics, ReconnectReason

log = structlog.get_logger(__name__)

# Seconds. A connection that was dropped silently is noticed within the sum of the first two.
PROBE_INTERVAL = 20.0
PROBE_TIMEOUT = 5.0
CONNECT_TIMEOUT = 10.0


class PostgresSource:
    """LISTEN on `listener_wake` and `listener_stop`.

    The connection never opens a transaction: while one idles in a transaction, Postgres's notification
    queue grows until users' commits fail. The probe reads the usage of that queue, and the same call frees a full one.
    """

    def __init__(self, dsn: str, wakeable: Wakeable, metrics: Metrics) -> None:
        self._dsn = dsn
        self._wakeable = wakeable
        self._metrics = metrics.source("notify")
        self._metrics.connected.set(0)
        self._connected = False

    @property
    def is_connected(self) -> bool:
        return self._connected

    def watch(self, changes: Mapping[str, Sequence[str]]) -> None:
        """Do nothing, because every table notifies."""

    async def run(self) -> None:
        await reconnect(self._listen, self._metrics)

    async def _listen(self) -> ReconnectReason:
        """Connect, listen until the connection fails, and return why."""
        try:
            connection = await connect(self._dsn, "listener events", CONNECT_TIMEOUT)
        except CONNECTION_ERRORS as error:
            log.warning("LISTEN connection failed; sweeps continue", error=reason_of(error))
            return "refused"
        try:
            return await self._stay(connection)
        finally:
            self._show(connected=False)
            connection.terminate()

    async def _stay(self, connection: asyncpg.Connection) -> ReconnectReason:
        closed = anyio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        _keep_alive(connection)
        try:
            with anyio.fail_after(PROBE_TIMEOUT):
                await connection.add_listener("listener_wake", self._on_notification)
                await connection.add_listener("listener_stop", self._on_notification)
            self._show(connected=True)
            self._wakeable.connected()
            while True:
                with anyio.move_on_after(PROBE_INTERVAL):
                    await closed.wait()
                if closed.is_set():
                    log.warning("LISTEN connection closed; reconnecting")
                    return "closed"
                with anyio.fail_after(PROBE_TIMEOUT):
                    await connection.fetchval("select pg_notification_queue_usage()")
        except TimeoutError:
            log.warning("LISTEN connection silent; reconnecting")
            return "silent"
        except CONNECTION_ERRORS as error:
            log.warning("LISTEN connection failed; reconnecting", error=reason_of(error))
            return "closed" if self._connected else "refused"

    def _on_notification(self, _connection: Any, _pid: int, channel: str, queue: object) -> None:
        if channel == "listener_wake":
            self._wakeable.wake(str(queue), "notify")
        else:
            self._wakeable.stop(str(queue))

    def _show(self, *, connected: bool) -> None:
        self._connected = connected
        self._metrics.connected.set(connected)


async def notification_time(dsn: str, timeout: float) -> float | None:  # noqa: ASYNC109
    """Measure the seconds that a notification takes from one session to another.

    Returns:
        None behind a transaction-mode pooler, which accepts LISTEN but passes no notification, and if no notification
        arrived within `timeout` seconds.

    Raises:
        DatabaseUnavailable: the database can't be reached.
    """
    channel = f"listener_probe_{secrets.token_hex(8)}"
    heard = anyio.Event()
    try:
        async with _session(dsn) as receiver, _session(dsn) as sender:
            if await _are_pooled(receiver, sender):
                return None
            await receiver.add_listener(channel, lambda *_: heard.set())
            began = time.perf_counter()
            await sender.execute(f"notify {channel}")
            with anyio.move_on_after(timeout):
                await heard.wait()
            return time.perf_counter() - began if heard.is_set() else None
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailable(f"the database can't be reached ({reason_of(error)})") from error


async def _are_pooled(first: asyncpg.Connection, second: asyncpg.Connection) -> bool:
    """Whether a pooler certainly shares the server's connections between these two.

    It is found out before LISTEN is tried, because a LISTEN would stay in the connection of the pooler.
    """
    pids = [await one.fetchval("select pg_backend_pid()") for one in (first, first, second, first, second)]
    return not (pids[0] == pids[1] == pids[3] != pids[2] == pids[4])


@asynccontextmanager
async def _session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    session = await connect(dsn, "listener probe", CONNECT_TIMEOUT)
    try:
        yield session
    finally:
        session.terminate()


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Set TCP keepalive, so that the kernel notices a dead peer, if asyncpg gives access to the socket."""
    transport = getattr(connection, "_transport", None)
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
