"""The responses of a hostile server cost no more memory than their limit."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

import httpx
import pytest

from listener.kit.response_body import UNCOMPRESSED, bound

MAX_BYTES = 100_000


class Hostile(BaseHTTPRequestHandler):
    """Sends a good body, one that unfolds, one of a large length, or one without end."""

    def do_GET(self) -> None:
        self.send_response(200)
        kind = unquote(self.path.strip("/"))
        if kind in {"gzip", "deflate", "gzip, gzip"}:
            self.send_header("Content-Encoding", kind)
        if kind == "long":
            self.send_header("Content-Length", "999999")
        self.end_headers()
        if kind == "good":
            self.wfile.write(b'{"encoding": "%s"}' % self.headers["Accept-Encoding"].encode())
        elif kind == "endless":
            try:
                while True:
                    self.wfile.write(b" " * 65536)
            except OSError:
                pass
        else:
            self.wfile.write(gzip.compress(bytes(1000)))

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
async def get() -> AsyncIterator[Callable[[str], Awaitable[object]]]:
    """`await get(path)` reads the whole response."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"

        async def get(path: str) -> object:
            async with (
                httpx.AsyncClient(trust_env=False, headers=UNCOMPRESSED) as client,
                client.stream("GET", url + path) as response,
            ):
                await bound(response, MAX_BYTES).aread()
            return response.json()

        yield get
        server.shutdown()
        thread.join()


async def test_a_body_within_the_limit_is_read(get: Callable[[str], Awaitable[object]]) -> None:
    assert await get("/good") == {"encoding": "identity"}


@pytest.mark.parametrize("path", ["/gzip", "/deflate", "/gzip, gzip", "/long", "/endless"])
async def test_any_other_is_refused(get: Callable[[str], Awaitable[object]], path: str) -> None:
    with pytest.raises(httpx.DecodingError, match=r"compressed|larger than 100000 bytes"):
        await get(path)
