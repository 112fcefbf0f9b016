"""One connection to Supabase Realtime, which ends at the first problem."""

from __future__ import annotations

import logging
import re

import anyio
import structlog
from realtime import (
    AsyncRealtimeChannel,
    AsyncRealtimeClient,
    RealtimeChannelOptions,
    RealtimeSubscribeStates,
)

from listener.log import reason_of, redact
from listener.metrics import ReconnectReason

log = structlog.get_logger(__name__)

# Seconds. A connection that was dropped silently is noticed within the sum.
PROBE_INTERVAL = 10.0
# The server waits 5 s before it refuses a join. A shorter time-out would hide the reason.
ANSWER_TIMEOUT = 10
PROBE_TOPIC = "listener::probe"


class RealtimeConnection:
    """A client that is used for one connection only.

    The client's own reconnection stops silently when the server is away for 15 seconds, or ends a channel. Therefore
    any problem of any channel ends this connection, and the source makes a new one.

    Attributes:
        over: set when the connection has ended.
        reason: why it ended; `recycled` until there is a problem.
    """

    def __init__(self, url: str, key: str) -> None:
        # The client logs the URL, which contains the key, and messages that it can't parse, which contain rows.
        logging.getLogger("realtime").setLevel(logging.CRITICAL)
        logging.getLogger("websockets.client").setLevel(logging.WARNING)
        self._client = AsyncRealtimeClient(
            f"{url}/realtime/v1", key, auto_reconnect=False, max_retries=1, timeout=ANSWER_TIMEOUT
        )
        self.over = anyio.Event()
        self.reason: ReconnectReason = "recycled"

    async def open(self) -> None:
        """Connect; sets `over` if that fails."""
        try:
            await self._client.connect()
        except Exception as error:
            self.end("refused")
            log.warning("Realtime not connected; sweeps continue", error=_reason(error))

    def channel(self, topic: str) -> AsyncRealtimeChannel:
        """Make a private channel, not joined yet."""
        # With `replication_ready` the server reports when it begins to listen to the database.
        options: RealtimeChannelOptions = {
            "config": {
                "broadcast": {"ack": False, "self": False, "replication_ready": True},
                "presence": {"key": "", "enabled": False},
                "private": True,
            }
        }
        return self._client.channel(topic, options)

    async def join(self, channel: AsyncRealtimeChannel) -> None:
        """Join a channel, whose end ends the connection from then on."""
        was_joined = False

        def changed(state: RealtimeSubscribeStates, error: Exception | None) -> None:
            nonlocal was_joined
            match state:
                case RealtimeSubscribeStates.SUBSCRIBED:
                    was_joined = True
                case RealtimeSubscribeStates.TIMED_OUT:
                    self._silent()
                case _ if was_joined or error is None:
                    self._closed(error)
                case _:
                    self._refused(channel, error)

        try:
            await channel.subscribe(changed)
        except Exception as error:
            self._closed(error)

    async def probe(self) -> None:
        """Join and leave a channel at intervals until the connection is over. Heartbeats do not show a dead connection,
        because the client does not wait for their replies.
        """
        while not self.over.is_set():
            await anyio.sleep(PROBE_INTERVAL)
            channel = self.channel(PROBE_TOPIC)
            with anyio.move_on_after(ANSWER_TIMEOUT) as joining:
                await self.join(channel)
            if joining.cancelled_caught:
                self._silent()
            if not self.over.is_set():
                channel.subscribe_callback = None
                await channel.unsubscribe()

    def end(self, reason: ReconnectReason) -> bool:
        """End the connection; false if it has ended already."""
        if self.over.is_set():
            return False
        self.reason = reason
        self.over.set()
        return True

    async def close(self) -> None:
        """Close the socket and stop the timers, without the closing handshake that a dead peer would not answer."""
        for channel in self._client.get_channels():
            channel.rejoin_timer.reset()
            channel.join_push.destroy()
        transport = getattr(getattr(self._client, "_ws_connection", None), "transport", None)
        if transport is not None:
            transport.abort()
        with anyio.move_on_after(ANSWER_TIMEOUT, shield=True):
            await self._client.close()

    def _silent(self) -> None:
        if self.end("silent"):
            log.warning("Realtime silent; reconnecting")

    def _closed(self, error: Exception | None) -> None:
        if self.end("closed"):
            why = error and _reason(error)
            log.warning("Realtime channel ended; reconnecting", error=why)

    def _refused(self, channel: AsyncRealtimeChannel, error: Exception) -> None:
        if self.end("refused"):
            name = channel.topic.removeprefix("realtime:")
            log.warning("Realtime channel refused; retried later", channel=name, error=_reason(error))


def _reason(error: Exception) -> str:
    reason = redact(reason_of(error))
    if re.search(r"HTTP 40[13]|Unauthorized|JWT", reason):
        reason += "; set SUPABASE_SERVICE_KEY to the project's secret or service_role key"
    return reason
