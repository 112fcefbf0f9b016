"""One connection to Supabase Realtime, until anything at all happens to it."""

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

# Seconds between probes, and until the server must have answered: a silent drop is noticed within the sum.
PROBE_EVERY = 10.0
ANSWER_TIMEOUT = 5
PROBE = "listener::probe"


class RealtimeConnection:
    """A client of its own, which is trusted with this one connection and no more.

    By itself the client stops hearing, without a word, when the server is away for a quarter of a minute, or ends a
    channel; so whatever happens to any channel ends the connection.

    Attributes:
        over: set when the connection is no longer good.
        reason: why; `recycled` until something happens.
    """

    def __init__(self, url: str, key: str) -> None:
        # The client logs the URL, which has the key, and messages that it can't read, which have rows.
        logging.getLogger("realtime").setLevel(logging.CRITICAL)
        logging.getLogger("websockets.client").setLevel(logging.WARNING)
        self._client = AsyncRealtimeClient(
            f"{url}/realtime/v1", key, auto_reconnect=False, max_retries=1, timeout=ANSWER_TIMEOUT
        )
        self.over = anyio.Event()
        self.reason: ReconnectReason = "recycled"

    async def open(self) -> None:
        """Connect; sets `over` when that is refused."""
        try:
            await self._client.connect()
        except Exception as error:
            self.end("refused")
            log.warning("can't listen to Realtime; sweeps go on", error=_reason(error))

    def channel(self, topic: str) -> AsyncRealtimeChannel:
        """A private channel, not joined yet."""
        # With `replication_ready` the server says when it begins to hear the database.
        options: RealtimeChannelOptions = {
            "config": {
                "broadcast": {"ack": False, "self": False, "replication_ready": True},
                "presence": {"key": "", "enabled": False},
                "private": True,
            }
        }
        return self._client.channel(topic, options)

    async def join(self, channel: AsyncRealtimeChannel) -> None:
        """Join a channel; from then on the connection ends with it."""
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
        """Join and leave a channel now and then, until the connection is over. The client waits for no answer to its
        heartbeats, and the server may leave messages without one."""
        while not self.over.is_set():
            await anyio.sleep(PROBE_EVERY)
            channel = self.channel(PROBE)
            with anyio.move_on_after(ANSWER_TIMEOUT) as patience:
                await self.join(channel)
            if patience.cancelled_caught:
                self._silent()
            if not self.over.is_set():
                channel.subscribe_callback = None
                await channel.unsubscribe()

    def end(self, reason: ReconnectReason) -> bool:
        """Give the connection up; False when that was done already."""
        if self.over.is_set():
            return False
        self.reason = reason
        self.over.set()
        return True

    async def close(self) -> None:
        """Leave nothing behind, without the closing words that a dead peer would have to answer."""
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
            log.warning("Realtime is silent; the connection is made anew")

    def _closed(self, error: Exception | None) -> None:
        if self.end("closed"):
            why = error and _reason(error)
            log.warning("Realtime ended a channel; the connection is made anew", error=why)

    def _refused(self, channel: AsyncRealtimeChannel, error: Exception) -> None:
        if self.end("refused"):
            name = channel.topic.removeprefix("realtime:")
            log.warning("Realtime refuses a channel; it is tried again", channel=name, error=_reason(error))


def _reason(error: Exception) -> str:
    reason = redact(reason_of(error))
    if re.search(r"HTTP 40[13]|Unauthorized|JWT", reason):
        reason += "; set SUPABASE_SERVICE_KEY to the project's secret or service_role key"
    return reason
