"""Plan faults between a client and the stack."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Cut = Literal["before", "after", "half"]


@dataclass
class Fault:
    """One planned fault. `happened` is set when it has happened for the first time."""

    request: str
    times: int
    status: int | None
    body: bytes
    headers: Mapping[str, str]
    cut: Cut | None
    delay: float
    happened: asyncio.Event = field(default_factory=asyncio.Event)


class Faults:
    """The plan, in order: the first fault that fits a request happens to it."""

    def __init__(self) -> None:
        self._plan: list[Fault] = []

    def add(
        self,
        request: str,
        *,
        times: int = 1,
        status: int | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        cut: Cut | None = None,
        delay: float = 0.0,
    ) -> Fault:
        """Plan a fault.

        Args:
            request: which requests, as "METHOD /path" with `*` as a wildcard; a websocket's method is WEBSOCKET.
            times: how often; later requests are answered normally.
            status: respond with this status; the route does not run.
            body: the body of that response.
            headers: its headers.
            cut: break the connection before the route has run, after it has run but before it answers, or in the
                middle of the answer's body.
            delay: seconds by which the request is late; alone or before one of the others.
        """
        self._plan.append(Fault(request, times, status, body, headers or {}, cut, delay))
        return self._plan[-1]

    def clear(self) -> None:
        """Remove all faults that have not happened."""
        self._plan.clear()

    async def around(self, what: str, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """Run an ASGI application, or the fault that is planned for the request."""
        fault = next((fault for fault in self._plan if fnmatchcase(what, fault.request)), None)
        if fault is None:
            await app(scope, receive, send)
            return
        fault.times -= 1
        if fault.times <= 0:
            self._plan.remove(fault)
        fault.happened.set()
        await asyncio.sleep(fault.delay)
        if fault.status is not None:
            await _say(fault, scope["type"], send)
        elif fault.cut is None:
            await app(scope, receive, send)
        else:
            await _cut(fault.cut, app, scope, receive, send)


async def _say(fault: Fault, kind: str, send: Any) -> None:
    # An answer to a websocket's handshake has other messages.
    prefix = "websocket.http.response" if kind == "websocket" else "http.response"
    headers = {"content-type": "application/json", "content-length": str(len(fault.body)), **fault.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": f"{prefix}.start", "status": fault.status, "headers": encoded})
    await send({"type": f"{prefix}.body", "body": fault.body})


async def _cut(cut: Cut, app: Any, scope: Any, receive: Any, send: Any) -> None:
    transport = scope["state"]["transport"]
    said: list[dict[str, Any]] = []

    async def keep(message: dict[str, Any]) -> None:
        said.append(message)

    if cut != "before":
        await app(scope, receive, keep)
    if cut == "half":
        body = b"".join(message.get("body", b"") for message in said[1:])
        await send(said[0])
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        transport.close()
    else:
        transport.abort()
    if scope["type"] == "http":
        while (await receive())["type"] != "http.disconnect":
            pass
