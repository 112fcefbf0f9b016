"""Play Supabase Realtime at `/realtime/v1`: its websocket in both versions of the protocol, and broadcasts over HTTP.

Changes come from the write-ahead log of the database, which needs `realtime.sql`. Like the real server it reads them
only while somebody is connected. A test plans its faults on `stack.realtime`. To make the server unreachable or
silent, use `stack.stop()`, `stack.cut()` or a proxy.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.support.standin import realtime_wire
from tests.support.standin.realtime_changes import Change, Log, seen
from tests.support.standin.realtime_channel import Channel, Socket
from tests.support.standin.realtime_policies import may_read, may_write

if TYPE_CHECKING:
    from tests.support.standin.stack import Stack

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
POLL = 0.02
MAX_CHANNELS = 100  # of a connection

PUBLISHED = """
select exists (select from pg_publication_tables where pubname = 'supabase_realtime'
  and schemaname = $1 and tablename = coalesce($2, tablename))
"""


class Realtime:
    """The server.

    Attributes:
        sockets: those connected now.
        lag: seconds from the answer to a join until changes of the database arrive.
        refuses: the reason with which joins are refused; None lets them in.
        refuses_after: seconds until a join is refused (CHANNEL_ERROR_BACKOFF_MS).
        ignores: never answer a join.
        doubles, reverses: send each change twice; send the changes of one read in the wrong order.
        posted: the messages that came over HTTP so far.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.sockets: set[Socket] = set()
        self.lag = 0.0
        self.refuses: str | None = None
        self.refuses_after = 5.0
        self.ignores = False
        self.doubles = False
        self.reverses = False
        self.posted: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._hearing: asyncio.Event | None = None
        self._log: Log | None = None
        self._reading = asyncio.Lock()

    @property
    def channels(self) -> list[Channel]:
        return [channel for socket in self.sockets for channel in socket.channels.values()]

    # What a test may do to it.

    async def close(self, code: int) -> None:
        """Close all connections cleanly."""
        for socket in list(self.sockets):
            await socket.websocket.close(code)

    async def shut_down(self, why: str) -> None:
        """End all channels; the connections stay."""
        for channel in self.channels:
            await channel.shut_down(why)

    async def expire(self) -> None:
        """Expire the tokens of all connections. Only a new connection gets a new one."""
        for socket in self.sockets:
            socket.has_expired = True
        await self.shut_down("Token has expired 1 seconds ago")

    async def flood(self, size: int) -> None:
        """Send a message of this size on every channel."""
        for channel in self.channels:
            await channel.say("broadcast", _broadcast("flood", {"text": "x" * size}))

    async def lose_replication(self) -> None:
        """Stop sending changes, without a message to the clients."""
        async with self._reading:
            for channel in self.channels:
                channel.listens = False

    async def regain_replication(self) -> None:
        """Send changes again. All channels get the message that they are subscribed, as after a join."""
        await self._read()
        for channel in self.channels:
            await self._begin(channel)

    # The websocket.

    async def serve(self, websocket: WebSocket) -> None:
        from tests.support.standin.stack import Refused

        try:
            caller = self._stack.identify({}, key=websocket.query_params.get("apikey"))
        except Refused as error:
            await websocket.send_denial_response(JSONResponse({"error": str(error)}, 401))
            return
        await websocket.accept()
        socket = Socket(websocket, int(websocket.query_params.get("vsn", "1.0.0")[0]), caller)
        self.sockets.add(socket)
        try:
            while (message := await websocket.receive())["type"] == "websocket.receive":
                frame = realtime_wire.decode(socket.version, message.get("text") or message["bytes"])
                await self._hear(socket, frame)
        finally:
            self.sockets.discard(socket)

    async def _hear(self, socket: Socket, frame: realtime_wire.Frame) -> None:
        channel = socket.channels.get(frame.topic)
        match frame.event:
            case "heartbeat":
                await socket.say("phoenix", "phx_reply", {"status": "ok", "response": {}}, ref=frame.ref)
            case "phx_join":
                if channel:
                    await channel.close()
                self._soon(self._join(socket, frame))
            case "phx_leave":
                await socket.say(frame.topic, "phx_reply", {"status": "ok", "response": {}}, ref=frame.ref)
                if channel:
                    await channel.close()
            case "access_token" if channel:
                token = frame.payload["access_token"]
                if not token.startswith("sb_"):
                    await self._renew(channel, token)
            case "broadcast" if channel:
                await self._relay(channel, frame)

    async def _join(self, socket: Socket, frame: realtime_wire.Frame) -> None:
        async def answer(status: str, response: dict[str, Any]) -> None:
            payload = {"status": status, "response": response}
            await socket.say(frame.topic, "phx_reply", payload, ref=frame.ref, join_ref=frame.ref)

        if self.ignores:
            return
        config = frame.payload.get("config", {})
        caller = socket.caller
        token = frame.payload.get("access_token") or frame.payload.get("user_token")
        topic = frame.topic.removeprefix("realtime:")
        reason = self.refuses
        if socket.has_expired:
            reason = "InvalidJWTToken: Token has expired 1 seconds ago"
        elif token and not token.startswith("sb_"):
            caller, reason = self._caller_of(token, reason)
        if reason is None and config.get("private") and not await may_read(self._stack, caller, topic):
            reason = f"Unauthorized: You do not have permissions to read from this Channel topic: {topic}"
        if reason is None and len(socket.channels) >= MAX_CHANNELS:
            reason = "ChannelRateLimitReached: Too many channels"
        if reason is not None:
            await asyncio.sleep(self.refuses_after)
            await answer("error", {"reason": reason})
            return
        bindings = [
            {"id": next(self._numbers), **binding} for binding in config.get("postgres_changes") or []
        ]
        channel = Channel(socket, frame.topic, frame.ref, config, caller, bindings)
        socket.channels[frame.topic] = channel
        await answer("ok", {"postgres_changes": bindings})
        await asyncio.sleep(self.lag)
        await self._begin(channel)

    async def _begin(self, channel: Channel) -> None:
        """Subscribe a channel to the database, and send the message about it."""
        await self._start()
        for binding in channel.bindings:
            async with self._stack.pool.acquire() as connection:
                if not await connection.fetchval(PUBLISHED, binding["schema"], binding.get("table")):
                    await channel.system(
                        "postgres_changes",
                        "error",
                        "Unable to subscribe to changes with given parameters. Please check Realtime is enabled"
                        f" for the given connect parameters: {json.dumps(binding)}",
                    )
                    return
        channel.listens = True
        if channel.bindings:
            await channel.system("postgres_changes", "ok", "Subscribed to PostgreSQL")
        if channel.broadcast().get("replication_ready"):
            await channel.system("system", "ok", "Replication connection established")

    def _caller_of(self, token: str, reason: str | None) -> tuple[Any, str | None]:
        from tests.support.standin.stack import Caller, Refused

        try:
            claims = self._stack.read(token)
        except Refused as error:
            return None, f"InvalidJWTToken: {error}"
        return Caller(claims["role"], claims), reason

    async def _renew(self, channel: Channel, token: str) -> None:
        caller, reason = self._caller_of(token, None)
        if reason:
            await channel.shut_down(reason)
        else:
            channel.caller = caller

    # Broadcasts.

    async def _relay(self, channel: Channel, frame: realtime_wire.Frame) -> None:
        topic = frame.topic.removeprefix("realtime:")
        if channel.is_private and not await may_write(self._stack, channel.caller, topic):
            return
        payload = _broadcast(frame.payload["event"], frame.payload.get("payload", {}))
        for other in self._hearers(topic, private=channel.is_private):
            if other is not channel or channel.broadcast().get("self"):
                await other.say("broadcast", payload)
        if channel.broadcast().get("ack"):
            await channel.say("phx_reply", {"status": "ok", "response": {}}, ref=frame.ref)

    async def post(self, request: Request) -> Response:
        caller = self._stack.identify(request.headers)
        body = await request.json()
        if not body.get("messages") or any(not one.get("topic") for one in body["messages"]):
            return JSONResponse({"errors": {"messages": ["is invalid"]}}, 422)
        self.posted += body["messages"]
        for one in body["messages"]:
            private = bool(one.get("private"))
            if private and not await may_write(self._stack, caller, one["topic"]):
                continue
            for channel in self._hearers(one["topic"], private=private):
                await channel.say("broadcast", _broadcast(one["event"], one["payload"]))
        return Response(status_code=202)

    def _hearers(self, topic: str, *, private: bool) -> Iterable[Channel]:
        return [
            channel
            for channel in self.channels
            if channel.topic == f"realtime:{topic}" and channel.is_private == private
        ]

    # The database's changes.

    async def _start(self) -> None:
        if self._hearing is None:
            self._hearing = asyncio.Event()
            self._soon(self._follow(self._hearing))
        await self._hearing.wait()

    async def _follow(self, hearing: asyncio.Event) -> None:
        """Read the changes of the database while anybody is connected."""
        async with Log(self._stack.dsn) as log:
            self._log = log
            hearing.set()
            try:
                while self.sockets:
                    await self._read()
                    await asyncio.sleep(POLL)
            finally:
                self._hearing = self._log = None
                await self._reading.acquire()
                self._reading.release()

    async def _read(self) -> None:
        async with self._reading:
            changes = await self._log.read() if self._log else []
            if self.reverses:
                changes.reverse()
            for change in changes:
                for _ in range(2 if self.doubles else 1):
                    await self._tell(change)

    async def _tell(self, change: Change) -> None:
        if change.schema == "realtime":
            row = change.record
            if change.type == "INSERT":
                payload = _broadcast(row["event"], row["payload"]) | {"meta": {"id": row["id"]}}
                for channel in self._hearers(row["topic"], private=row["private"]):
                    if channel.listens:
                        await channel.say("broadcast", payload)
            return
        for channel in self.channels:
            ids = [binding["id"] for binding in channel.bindings if _fits(binding, change)]
            if ids and channel.listens and (data := await seen(self._stack, channel.caller, change)):
                await channel.say("postgres_changes", {"ids": ids, "data": data})

    def _soon(self, work: Any) -> None:
        # Among those that the server ends and waits for when it stops.
        tasks = self._stack._state.tasks
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _broadcast(event: str, payload: Any) -> dict[str, Any]:
    return {"type": "broadcast", "event": event, "payload": payload}


def _fits(binding: dict[str, Any], change: Change) -> bool:
    if binding["event"] not in {"*", change.type} or binding.get("schema") not in {"*", change.schema}:
        return False
    column, _, value = (binding.get("filter") or "").partition("=eq.")
    return binding.get("table") in {None, "*", change.table} and (
        not column or str(change.record.get(column)) == value
    )


def routes(stack: Stack) -> list[BaseRoute]:
    """Return the routes of Realtime."""
    return [
        WebSocketRoute("/realtime/v1/websocket", stack.realtime.serve),
        Route("/realtime/v1/api/broadcast", stack.realtime.post, methods=["POST"]),
    ]
