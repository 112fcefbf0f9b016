"""Connections are bounded in number and time, so that a caller who sends nothing keeps nobody out."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from listener.web import connections

from .webtools import Serving

HALF = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "


@pytest.fixture
def connect() -> Iterator[Callable[[str], socket.socket]]:
    with ExitStack() as stack:

        def connect(url: str) -> socket.socket:
            place = urlsplit(url)
            return stack.enter_context(
                socket.create_connection((place.hostname or "", place.port or 0), timeout=20)
            )

        yield connect


def end(connection: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    received = b""
    try:
        while part := connection.recv(4096):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HALF,
        b"POST /webhook/new-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + HALF,
    ],
)
async def test_a_request_that_stays_incomplete_ends(
    serving: Serving,
    connect: Callable[[str], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    sent: bytes,
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    async with serving() as url:
        held = connect(url)
        held.sendall(sent)
        with anyio.fail_after(3):  # less than uvicorn's own 5 s between two requests
            await anyio.to_thread.run_sync(end, held)


async def test_many_half_open_connections_keep_nobody_out(
    serving: Serving, connect: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 10)
    async with serving() as url:
        held = [connect(url) for _ in range(30)]
        for connection in held[-9:]:
            connection.sendall(HALF)
        for _ in range(3):
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"{url}/livez")).status_code == 200
        for connection in held[:20]:
            assert await anyio.to_thread.run_sync(end, connection) == b""


async def test_two_lengths_of_a_body_are_refused(
    serving: Serving, connect: Callable[[str], socket.socket]
) -> None:
    async with serving() as url:
        held = connect(url)
        held.sendall(
            b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        answers = await anyio.to_thread.run_sync(end, held)

    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1") == 1
