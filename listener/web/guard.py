"""Rules for every request: accepted hosts, the size of bodies, and security headers."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.config import Settings

# FastAPI reads a body into memory before a route can check the caller.
MAX_BODY_BYTES = 1024**2  # bytes of a body

_HEADERS = {
    # Browsers show media that are opened in a tab inside a page, to which this policy applies.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

# Headers that proxies and content delivery networks add to the requests that they forward.
_OF_PROXIES = re.compile(
    r"forwarded|via|cdn-loop|early-data|proxy-connection|front-end-https|ssl-client-.*|(.+-)?client-ip|"
    r"x-(amz|azure|envoy|forwarded|original|real|request-start|scheme).*|(cf|cloudfront)-.*"
)


class Shield:
    """Middleware that refuses foreign host names (DNS rebinding) and bodies of more than `MAX_BODY_BYTES`, and adds
    security headers."""

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
            if taken > MAX_BODY_BYTES:
                raise HTTPException(
                    413, f"The body is larger than the maximum of {MAX_BODY_BYTES // 1024} kB."
                )
            return message

        headers = Headers(scope=scope)
        host = _host(headers.get("host", ""))
        if self._loopback and not _is_local(host) and host != self._public:
            sentence = (
                "Only requests to localhost are accepted; set PUBLIC_URL if the service is behind a proxy."
            )
            refusal = JSONResponse({"error": sentence}, status_code=421)
            await refusal(scope, receive, send_with_headers)
            return
        if "content-length" in headers and "transfer-encoding" in headers:
            # RFC 9112, section 6.3: a proxy may have read another length than this server.
            sentence = "Send either Content-Length or Transfer-Encoding."
            refusal = JSONResponse({"error": sentence}, status_code=400, headers={"Connection": "close"})
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive_bounded, send_with_headers)


def is_own_machine(request: Request) -> bool:
    """Return whether a request to a loopback address comes from this machine itself.

    It does not if anything suggests that a local proxy forwards it: a header that only proxies add, the protocol
    HTTP/1.0 (nginx before 1.29.7 sends it by default), or a foreign host name. It does not either if a page of another
    origin sends it in a local browser: browsers send the Origin header with every request that changes something.

    A proxy may forward a request without a trace, so `Settings.trusts_own_machine` must hold, too.
    """
    headers = request.headers
    proxied = request.scope["http_version"] == "1.0" or any(map(_OF_PROXIES.fullmatch, headers))
    origin = headers.get("origin")
    from_page = origin is not None and not _is_local(_host(origin.partition("://")[2]))
    return _is_local(_host(headers.get("host", ""))) and not proxied and not from_page


def _host(authority: str) -> str | None:
    """Return the name in `name:port`."""
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def _is_local(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
