"""Play a provider with OpenAI's protocol, which transcribes and chats, or does what a test has planned.

    async with providing() as provider:
        provider.plan("/audio/transcriptions", Refuse(429, {"Retry-After": "7"}), "ok")

Each plan for a path happens once, in order. Later requests succeed.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any, Literal

SPEECH, CHAT = "/audio/transcriptions", "/chat/completions"

Word = Literal["ok", "cut", "hang", "malformed", "length", "content_filter", "unstreamed", "lines"]


@dataclass(frozen=True)
class Refuse:
    """Respond with this status."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "planned"


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        fields: of the form or the JSON object.
        file: what was uploaded.
    """

    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    file: bytes = b""

    @property
    def said(self) -> str:
        """Return the transcript that the model is asked to refine."""
        text: str = self.fields["messages"][1]["content"]
        return text.rpartition("The transcript:\n")[2].rpartition("\n<<<")[0]


class Provider:
    """The provider.

    Attributes:
        url: of its API.
        asked: all requests, in order.
        heard: what it transcribes, one segment after the other, each of two seconds and a second apart.
        over: set at the end; requests that hang wait for it.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.heard: list[str] = ["Good morning.", "We talk about the garden."]
        self.over = asyncio.Event()
        self._planned: dict[str, deque[Word | Refuse]] = defaultdict(deque)
        self._came = asyncio.Condition()

    def plan(self, path: str, *steps: Word | Refuse) -> None:
        """Plan the next requests for a path."""
        self._planned[path] += steps

    def of(self, path: str) -> list[Asked]:
        """Return the requests for a path."""
        return [one for one in self.asked if one.path == path]

    async def came(self, path: str, times: int = 1) -> None:
        """Wait until so many requests for a path have come."""
        async with self._came:
            await asyncio.wait_for(self._came.wait_for(lambda: len(self.of(path)) >= times), 20)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection with one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            asked = await _read(reader)
            async with self._came:
                self.asked.append(asked)
                self._came.notify_all()
            steps = self._planned[asked.path]
            await self._act(steps.popleft() if steps else "ok", asked, writer)
            await writer.drain()
        writer.close()

    async def _act(self, step: Word | Refuse, asked: Asked, writer: asyncio.StreamWriter) -> None:
        match step:
            case Refuse(status, headers, message):
                writer.write(_head(status, headers) + json.dumps({"error": {"message": message}}).encode())
                return
            case "hang":
                await self.over.wait()
                return
            case "malformed":
                writer.write(_head(200) + b'{"choices": "none", "segments": 7}')
                return
        if asked.path == SPEECH:
            answer = json.dumps(self._transcription(asked)).encode()
            writer.write(_head(200) + (answer[:20] if step == "cut" else answer))
            if step == "cut":
                writer.transport.abort()
            return
        text = f"Refined: {asked.said}"
        if step == "unstreamed":
            choice = {"message": {"content": text}, "finish_reason": "stop"}
            writer.write(_head(200) + json.dumps({"choices": [choice]}).encode())
            return
        writer.write(_head(200, {"Content-Type": "text/event-stream"}))
        reason = step if step in {"length", "content_filter"} else "stop"
        for event in _events(text, reason, whole=step != "cut"):
            if step == "lines" and event != "[DONE]":
                # JSON that is spread over several lines, and holds what only Python takes for the end of one.
                event = json.dumps(json.loads(event), ensure_ascii=False, indent=1).replace("\n", "\ndata: ")  # noqa: PLW2901
            writer.write(f"data: {event}\n\n".encode())
            await writer.drain()

    def _transcription(self, asked: Asked) -> dict[str, Any]:
        text = " ".join(self.heard)
        if asked.fields["response_format"] == "json":
            return {"text": text}
        segments = [
            {"id": n, "start": n * 3.0, "end": n * 3.0 + 2, "text": f" {said}"}
            for n, said in enumerate(self.heard)
        ]
        words = []
        for n, said in enumerate(self.heard):
            spoken = said.split()
            step = 2 / len(spoken)
            words += [
                {"word": word.strip(".,"), "start": n * 3 + k * step, "end": n * 3 + (k + 1) * step}
                for k, word in enumerate(spoken)
            ]
        return {"language": "english", "text": text, "segments": segments, "words": words}


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    """Run a provider until the block ends."""
    provider = Provider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, limit=2**26)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield provider
    finally:
        provider.over.set()
        server.close()
        await asyncio.sleep(0)  # what hung lets go


def _events(text: str, reason: str, *, whole: bool) -> Iterable[str]:
    half = len(text) // 2
    yield json.dumps({"choices": [{"delta": {"role": "assistant", "content": text[:half]}}]})
    if whole:
        yield json.dumps({"choices": [{"delta": {"content": text[half:]}}]})
        yield json.dumps({"choices": [{"delta": {}, "finish_reason": reason}]})
        yield json.dumps({"choices": [], "usage": {"total_tokens": 7}})
        yield "[DONE]"


def _head(status: int, headers: dict[str, str] | None = None) -> bytes:
    given = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
    lines = [f"HTTP/1.1 {status} Planned", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    path = first.split()[1].removeprefix("/v1")
    kind = headers["content-type"]
    if kind == "application/json":
        return Asked(path, headers, json.loads(body))
    parts: Any = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    fields: dict[str, Any] = {}
    file = b""
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if name == "file":
            file = content
        elif name in fields:
            fields[name] = [
                *([fields[name]] if isinstance(fields[name], str) else fields[name]),
                content.decode(),
            ]
        else:
            fields[name] = content.decode()
    return Asked(path, headers, fields, file)
