"""What holds for every request: where it may come from, and what browsers are told of the answer."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.config import Settings

# FastAPI reads a body into memory before a route can ask who calls.
MOST = 1024**2  # bytes of a body

_HEADERS = {
    # Media may be opened in a tab of its own, which the browser shows in a page that this policy applies to.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Shield:
    """Middleware: refuses names that a browser was tricked into (DNS rebinding), and bodies of more than `MOST` bytes;
    adds security headers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._loopback = settings.is_loopback
        self._public = urlsplit(settings.public_url or "").hostname

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST:
                raise HTTPException(
                    413, f"The body is larger than {MOST // 1024} kB, the most that is taken."
                )
            return message

        host = _host(Headers(scope=scope).get("host", ""))
        if self._loopback and not _is_local(host) and host != self._public:
            sentence = "Only localhost is answered; set PUBLIC_URL where a proxy stands before the service."
            refusal = JSONResponse({"error": sentence}, status_code=421)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive_bounded, send_with_headers)


def is_own_machine(request: Request) -> bool:
    """Whether a request to a loopback address is this machine's own.

    It is not where something shows that a proxy here passes on somebody else's, or that a page from elsewhere has
    the browser of this machine's user send it: browsers name that page with everything that changes something.
    """
    headers = request.headers
    passed_on = "forwarded" in headers or "x-forwarded-for" in headers
    origin = headers.get("origin")
    from_page = origin is not None and not _is_local(_host(origin.partition("://")[2]))
    return _is_local(_host(headers.get("host", ""))) and not passed_on and not from_page


def _host(authority: str) -> str | None:
    """The name in `name:port`."""
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def _is_local(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
