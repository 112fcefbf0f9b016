"""Events through Supabase Realtime, for a service that reaches its database by REST alone."""

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

# A channel may be joined some seconds before the server hears the database: look again then for what it missed.
LOOK_AGAIN = 5.0
# The token that the server makes of a secret key lasts a day, and the same connection never gets another one.
LIFETIME = 12 * 3600.0
# A connection that ends sooner has not proved that the next one may be tried at once.
STEADY = 30.0


class RealtimeSource:
    """Messages on a private channel of each queue, and Realtime's postgres_changes for tables that send none. What an
    event says is never read.

    Args:
        url: of the project.
        key: its secret or service_role key.
        queues: those to hear of.
        lifetime: seconds after which a connection is made anew in any case, less a random part.
    """

    def __init__(
        self,
        url: str,
        key: str,
        queues: Iterable[str],
        wakes: Wakeable,
        metrics: Metrics,
        *,
        lifetime: float = LIFETIME,
    ) -> None:
        self._url = url
        self._key = ServiceKey(url, key)
        self._queues = list(queues)
        self._wakes = wakes
        self._metrics = metrics.source("realtime")
        self._metrics.connected.set(0)
        self._lifetime = lifetime
        self._changes: Mapping[str, Sequence[str]] = {}
        self._current: RealtimeConnection | None = None
        self._connected = False

    @property
    def is_connected(self) -> bool:
        return self._connected

    def watch(self, changes: Mapping[str, Sequence[str]]) -> None:
        """Hear of new rows by postgres_changes: queue -> schema and name of its table, as `register` answers."""
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
            if anyio.current_time() - began > STEADY:
                backoff = delays()
            await anyio.sleep(next(backoff))

    async def _listen(self) -> ReconnectReason:
        """Until the connection is no longer good; answers why."""
        self._current = connection = RealtimeConnection(self._url, self._key.current())
        try:
            await connection.open()
            async with anyio.create_task_group() as joins:
                for queue in self._queues if not connection.over.is_set() else ():
                    joins.start_soon(connection.join, self._channel(connection, queue))
            if not connection.over.is_set():
                self._show(connected=True)
                self._wakes.connected()
                await self._stay(connection)
        finally:
            self._current = None
            self._show(connected=False)
            await connection.close()
        return connection.reason

    async def _stay(self, connection: RealtimeConnection) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(connection.probe)
            group.start_soon(self._look_again)
            with anyio.move_on_after(self._lifetime * random.uniform(0.8, 1)):  # noqa: S311
                await connection.over.wait()
            group.cancel_scope.cancel()

    async def _look_again(self) -> None:
        await anyio.sleep(LOOK_AGAIN)
        self._wakes.connected()

    def _channel(self, connection: RealtimeConnection, queue: str) -> AsyncRealtimeChannel:
        wake = _safely(lambda: self._wakes.wake(queue, "realtime"))
        channel = connection.channel(topic(queue))
        channel.on_system(_safely(self._wakes.connected))
        channel.on_broadcast("wake", wake)
        channel.on_broadcast("stop", _safely(lambda: self._wakes.stop(queue)))
        if queue in self._changes:
            schema, table = self._changes[queue]
            insert = RealtimePostgresChangesListenEvent.Insert
            channel.on_postgres_changes(insert, wake, table=table, schema=schema)
        return channel

    def _show(self, *, connected: bool) -> None:
        self._connected = connected
        self._metrics.connected.set(connected)


def topic(queue: str) -> str:
    """The private channel of a queue, as `listener.topic` in the database says."""
    if not re.fullmatch(r"[A-Za-z0-9_./-]{1,100}", queue):
        queue = hashlib.md5(queue.encode(), usedforsecurity=False).hexdigest()
    return f"listener:{queue}"


def _safely(tell: Callable[[], None]) -> Callable[[object], None]:
    """A callback that never raises: the client would stop hearing, and go on as if it did not."""

    def callback(_: object) -> None:
        try:
            tell()
        except Exception as error:
            log.error("an event could not be passed on", exc_info=error)

    return callback
