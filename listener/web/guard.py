"""Who may ask: this machine freely, everybody else with the token."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.config import Settings

_bearer = HTTPBearer(auto_error=False, description="The service's API_TOKEN; not needed on its own machine.")

_HEADERS = {
    # Media may be opened in a tab of its own, which the browser shows in a page that this policy applies to.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class TokenGuard:
    """A dependency of every route that is not open: refuses callers from elsewhere without the token."""

    def __init__(self, settings: Settings) -> None:
        self._loopback = settings.is_loopback
        self._token = settings.api_token

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> None:
        """Raises 401 with a sentence that says what is missing."""
        if self._loopback and _is_direct(request.headers):
            return
        if self._token is None:
            raise _unauthorized("Set API_TOKEN for the service, and send it as `Authorization: Bearer …`.")
        sent = credentials.credentials if credentials else ""
        if not secrets.compare_digest(sent.encode(), self._token.get_secret_value().encode()):
            raise _unauthorized("Send the service's API_TOKEN as `Authorization: Bearer …`.")


class Shield:
    """Middleware: refuses names that a browser was tricked into (DNS rebinding), adds security headers."""

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

        headers = Headers(scope=scope)
        if self._loopback and not _is_local(headers) and _host(headers) != self._public:
            sentence = "Only localhost is answered; set PUBLIC_URL where a proxy stands before the service."
            refusal = JSONResponse({"error": sentence}, status_code=421)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _host(headers: Headers) -> str | None:
    """The name that the caller used, without the port."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return None


def _is_local(headers: Headers) -> bool:
    host = _host(headers)
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _is_direct(headers: Headers) -> bool:
    """Whether nothing shows that a proxy on this machine passes somebody else's request on."""
    return _is_local(headers) and not ("forwarded" in headers or "x-forwarded-for" in headers)


def _unauthorized(sentence: str) -> HTTPException:
    return HTTPException(401, sentence, headers={"WWW-Authenticate": "Bearer"})
