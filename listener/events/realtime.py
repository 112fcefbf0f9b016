"""Events by Supabase Realtime, for a service that can't LISTEN: by REST alone, or behind a transaction-mode pooler."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import anyio
import structlog
from realtime import AsyncRealtimeChannel, RealtimePostgresChangesListenEvent

from listener.backoff import delays
from listener.events.base import Wakeable
from listener.events.realtime_connection import RealtimeConnection
from listener.metrics import Metrics, ReconnectReason
from listener.service_key import ServiceKey

log = structlog.get_logger(__name__)

# All in seconds.
# A joined channel may get no events for some seconds, until the server listens to the database. Jobs are looked for
# again after this time.
SECOND_LOOK_AFTER = 5.0
# The server makes a token of a secret key that is valid for a day, and never renews it on the same connection.
MAX_CONNECTION_AGE = 12 * 3600.0
# If a connection lasted so long, the next one is tried at once.
STABLE_AFTER = 30.0


class RealtimeSource:
    """Receive messages on a private channel of each queue, and Realtime's postgres_changes for tables that send no
    messages. The content of an event is never read.

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
        self._queues = list(queues)
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
        backoff = delays()
        while True:
            began = anyio.current_time()
            reason = await self._listen()
            self._metrics.reconnects[reason].inc()
            if anyio.current_time() - began > STABLE_AFTER:
                backoff = delays()
            await anyio.sleep(next(backoff))

    async def _listen(self) -> ReconnectReason:
        """Receive events until the connection ends, and return why it ended."""
        self._current = connection = RealtimeConnection(self._url, self._key.current())
        try:
            await connection.open()
            async with anyio.create_task_group() as joins:
                for queue in self._queues if not connection.over.is_set() else ():
                    joins.start_soon(connection.join, self._channel(connection, queue))
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

    def _channel(self, connection: RealtimeConnection, queue: str) -> AsyncRealtimeChannel:
        wake = _safely(lambda: self._wakeable.wake(queue, "realtime"))
        channel = connection.channel(topic(queue))
        channel.on_system(_safely(self._wakeable.connected))
        channel.on_broadcast("wake", wake)
        channel.on_broadcast("stop", _safely(lambda: self._wakeable.stop(queue)))
        if queue in self._changes:
            schema, table = self._changes[queue]
            insert = RealtimePostgresChangesListenEvent.Insert
            channel.on_postgres_changes(insert, wake, table=table, schema=schema)
        return channel

    def _show(self, *, connected: bool) -> None:
        self._connected = connected
        self._metrics.connected.set(connected)


def topic(queue: str) -> str:
    """Return the private channel of a queue, by the same rule as `listener.topic` in the database."""
    if not re.fullmatch(r"[A-Za-z0-9_./-]{1,100}", queue):
        queue = hashlib.md5(queue.encode(), usedforsecurity=False).hexdigest()
    return f"listener:{queue}"


def _safely(call: Callable[[], None]) -> Callable[[object], None]:
    """Return a callback that never raises, because the client would silently stop to receive events."""

    def callback(_: object) -> None:
        try:
            call()
        except Exception as error:
            log.error("event not passed on", exc_info=error)

    return callback
