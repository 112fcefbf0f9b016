"""Turn errors into responses: always `{"error": "one sentence"}`."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = structlog.get_logger(__name__)

# Error texts of FastAPI and Starlette -> sentences that say how to correct the request.
_SENTENCES = {
    "There was an error parsing the body": "The body can't be read; send JSON in UTF-8.",
    "Not Found": "This address does not exist; /docs lists all addresses.",
    "Method Not Allowed": "This address does not accept this method; /docs lists the methods.",
}


class Problem(BaseModel):
    """The error of a request."""

    error: str = Field(description="one sentence for a person")


def install(app: FastAPI) -> None:
    """Give every error of this application the same shape."""

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            {"error": _SENTENCES.get(error.detail, error.detail)}, error.status_code, error.headers
        )

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        if first["type"] == "json_invalid":
            sentence = f"The body is not valid JSON: {first['ctx']['error']} at character {where}."
        elif not where:
            sentence = "The body must be a JSON object, sent as `Content-Type: application/json`."
        else:
            sentence = f"{where}: {first['msg']}."
        return JSONResponse({"error": sentence}, 422)

    app.add_middleware(_Unexpected)


class _Unexpected:
    """Middleware that logs unexpected errors of routes, and responds with 500.

    Starlette raises the error again after its response. The server then closes the connection, which the caller may
    already be using again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _log.exception("request failed", path=scope.get("path"))
            if begun:
                raise
            answer = JSONResponse({"error": "The service failed to respond; its log says why."}, 500)
            await answer(scope, receive, send)
