"""Hold what one client of Realtime has open: its socket and the channels that it has joined."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket

from tests.support.standin import realtime_wire

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller


@dataclass(eq=False)
class Channel:
    """One topic that one socket has joined."""

    socket: Socket
    topic: str
    join_ref: str | None
    config: dict[str, Any]
    caller: Caller
    bindings: list[dict[str, Any]]
    # Not before the server has got hold of the database's changes.
    listens: bool = False

    @property
    def is_private(self) -> bool:
        return bool(self.config.get("private"))

    def broadcast(self) -> dict[str, Any]:
        return self.config.get("broadcast") or {}

    async def say(self, event: str, payload: dict[str, Any], ref: str | None = None) -> None:
        await self.socket.say(self.topic, event, payload, ref=ref, join_ref=self.join_ref)

    async def system(self, extension: str, status: str, message: str) -> None:
        name = self.topic.removeprefix("realtime:")
        await self.say(
            "system", {"channel": name, "extension": extension, "status": status, "message": message}
        )

    async def shut_down(self, why: str) -> None:
        """End the channel like the server: an error, then a close. Clients do not join again by themselves."""
        await self.system("system", "error", why)
        await self.close()

    async def close(self) -> None:
        self.socket.channels.pop(self.topic, None)
        await self.socket.say(self.topic, "phx_close", {}, ref=self.join_ref, join_ref=self.join_ref)


@dataclass(eq=False)
class Socket:
    """One connection."""

    websocket: WebSocket
    version: int
    caller: Caller
    channels: dict[str, Channel] = field(default_factory=dict)
    has_expired: bool = False

    async def say(
        self, topic: str, event: str, payload: Any, *, ref: str | None = None, join_ref: str | None = None
    ) -> None:
        frame = realtime_wire.encode(self.version, join_ref, ref, topic, event, payload)
        # A client that has gone hears nothing; its own task sees to the rest.
        with suppress(Exception):
            await (
                self.websocket.send_text(frame)
                if isinstance(frame, str)
                else self.websocket.send_bytes(frame)
            )
