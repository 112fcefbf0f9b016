"""Events by Supabase Realtime, for a service that can't LISTEN: by REST alone, or behind a transaction-mode pooler."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import structlog
from realtime import AsyncRealtimeChannel, RealtimePostgresChangesListenEvent

from listener.events.base import Wakeable, reconnect
from listener.events.realtime_connection import RealtimeConnection
from listener.metrics import Metrics, ReconnectReason
from listener.service_key import ServiceKey

log = structlog.get_logger(__name__)

TOPIC = "listener:events"  # the same as in `listener.broadcast`

# All in seconds.
# A joined channel may get no events for some seconds, until the server listens to the database. Jobs are looked for
# again after this time.
SECOND_LOOK_AFTER = 5.0
# The server makes a token of a secret key that is valid for a day, and never renews it on the same connection.
MAX_CONNECTION_AGE = 12 * 3600.0


class RealtimeSource:
    """Receive the messages about all queues on one private channel, and Realtime's postgres_changes for tables that
    send no messages. Only the name of the queue is read from a message.

    There is one channel for all queues, because the server refuses more than 100 channels on a connection.

    Args:
        url: the project's address.
        key: its secret or service_role key.
        queues: the queues to receive events of.
        max_age: seconds after which a connection is replaced, less a random part.
    """

    def __init__(
        self,
        url: str,
        key: str,
        queues: Iterable[str],
        wakeable: Wakeable,
        metrics: Metrics,
        *,
        max_age: float = MAX_CONNECTION_AGE,
    ) -> None:
        self._url = url
        self._key = ServiceKey(url, key)
        self._queues = frozenset(queues)
        self._wakeable = wakeable
        self._metrics = metrics.source("realtime")
        self._metrics.connected.set(0)
        self._max_age = max_age
        self._changes: Mapping[str, Sequence[str]] = {}
        self._current: RealtimeConnection | None = None
        self._connected = False

    @property
    def is_connected(self) -> bool:
        return self._connected

    def watch(self, changes: Mapping[str, Sequence[str]]) -> None:
        """Subscribe to postgres_changes of these tables, as `register` returns them; queue name -> schema and table."""
        if changes != self._changes:
            self._changes = dict(changes)
            if self._current:
                self._current.end("recycled")

    async def run(self) -> None:
        await reconnect(self._listen, self._metrics)

    async def _listen(self) -> ReconnectReason:
        """Receive events until the connection ends, and return why it ended."""
        self._current = connection = RealtimeConnection(self._url, self._key.current())
        try:
            await connection.open()
            if not connection.over.is_set():
                await connection.join(self._channel(connection))
            if not connection.over.is_set():
                self._show(connected=True)
                self._wakeable.connected()
                await self._stay(connection)
        finally:
            self._current = None
            self._show(connected=False)
            await connection.close()
        return connection.reason

    async def _stay(self, connection: RealtimeConnection) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(connection.probe)
            group.start_soon(self._look_twice)
            with anyio.move_on_after(self._max_age * random.uniform(0.8, 1)):  # noqa: S311
                await connection.over.wait()
            group.cancel_scope.cancel()

    async def _look_twice(self) -> None:
        await anyio.sleep(SECOND_LOOK_AFTER)
        self._wakeable.connected()

    def _channel(self, connection: RealtimeConnection) -> AsyncRealtimeChannel:
        channel = connection.channel(TOPIC)
        channel.on_system(_safely(lambda _: self._wakeable.connected()))
        channel.on_broadcast("wake", _safely(self._on_wake))
        channel.on_broadcast("stop", _safely(self._on_stop))
        for (schema, table), queues in self._tables().items():
            insert = RealtimePostgresChangesListenEvent.Insert
            channel.on_postgres_changes(
                insert, _safely(partial(self._wake_all, queues)), table=table, schema=schema
            )
        return channel

    def _tables(self) -> dict[tuple[str, str], list[str]]:
        """Return the queues of each table that only postgres_changes announce."""
        tables: dict[tuple[str, str], list[str]] = {}
        for queue, (schema, table) in self._changes.items():
            if queue in self._queues:
                tables.setdefault((schema, table), []).append(queue)
        return tables

    def _on_wake(self, message: Any) -> None:
        if (queue := message["payload"].get("queue")) in self._queues:
            self._wakeable.wake(queue, "realtime")

    def _on_stop(self, message: Any) -> None:
        if (queue := message["payload"].get("queue")) in self._queues:
            self._wakeable.stop(queue)

    def _wake_all(self, queues: list[str], _: Any) -> None:
        for queue in queues:
            self._wakeable.wake(queue, "realtime")

    def _show(self, *, connected: bool) -> None:
        self._connected = connected
        self._metrics.connected.set(connected)


def _safely(call: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a callback that never raises, because the client would silently stop to receive events."""

    def callback(event: Any) -> None:
        try:
            call(event)
        except Exception as error:
            log.error("event not passed on", exc_info=error)

    return callback
