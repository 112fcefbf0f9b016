"""`POST /webhook/new-job`: wakes the service. The content of the body is not used.

It accepts the body of `sql/presets/webhook.sql`, `{"job_id": …}`, and that of Supabase's Database Webhooks, `{"type",
"table", "schema", "record", "old_record"}` (https://supabase.com/docs/guides/database/webhooks).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from pydantic import BaseModel, ValidationError

from listener.config import Settings
from listener.web.errors import Problem
from listener.web.guard import is_own_machine
from listener.web.identity import same

MAX_BODY_BYTES = 64 * 1024  # bytes of a body
PAUSE = 1.0  # minimum seconds between two wakes


class JobCall(BaseModel):
    """The body of a user's own trigger."""

    job_id: str | int


class ChangeCall(BaseModel):
    """The body of a Database Webhook of Supabase."""

    type: Literal["INSERT", "UPDATE", "DELETE"]
    table: str
    schema_: str | None = None
    record: dict[str, Any] | None = None


class Accepted(BaseModel):
    """The response: the service claims jobs."""

    status: Literal["accepted"] = "accepted"


class Doorbell:
    """Rings at once, and then at most once in a while; a call in between rings at the end of it.

    Args:
        ring: what is to be done; it returns at once.
        pause: seconds from one ring to the next.
    """

    def __init__(self, ring: Callable[[], None], pause: float = PAUSE) -> None:
        self._ring = ring
        self._pause = pause
        self._free_at = 0.0
        self._pending = False

    def press(self) -> None:
        """To be called from one event loop only."""
        if not self._pending:
            self._pending = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._free_at, loop.time()), self._sound, loop)

    def _sound(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pending = False
        self._ring()
        self._free_at = loop.time() + self._pause


def routes(settings: Settings, wake: Callable[[], None]) -> APIRouter:
    """Return the route, which checks its callers.

    Args:
        settings: have the secret; without one, only this machine may call, and only if it needs no token.
        wake: makes the service claim jobs.
    """
    router = APIRouter(tags=["webhook"])
    bell = Doorbell(wake)

    def known(
        request: Request,
        x_webhook_secret: Annotated[str, Header()] = "",
        authorization: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> None:
        secret = settings.webhook_secret
        if secret is None:
            if settings.trusts_own_machine and is_own_machine(request):
                return
            raise HTTPException(503, "The service accepts no webhooks; set WEBHOOK_SECRET.")
        scheme, _, bearer = authorization.partition(" ")
        sent = x_webhook_secret or (bearer if scheme.lower() == "bearer" else "")
        if not same(sent, secret):
            raise HTTPException(
                401, "Send WEBHOOK_SECRET as `X-Webhook-Secret: …` or `Authorization: Bearer …`."
            )

    @router.post(
        "/webhook/new-job",
        status_code=202,
        dependencies=[Depends(known)],
        responses={status: {"model": Problem} for status in (401, 413, 422, 503)},
    )
    async def new_job(request: Request) -> Accepted:
        """Claim jobs now. The row that the call names does not matter, because the claim finds what is due."""
        _understand(await _body(request))
        bell.press()
        return Accepted()

    return router


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(
                413, f"The body is larger than {MAX_BODY_BYTES // 1024} kB; send only the id of the job."
            )
    return bytes(body)


def _understand(body: bytes) -> None:
    for shape in (JobCall, ChangeCall):
        try:
            shape.model_validate_json(body)
        except ValidationError:
            continue
        return
    raise HTTPException(422, 'Send {"job_id": …}, or the body of a Database Webhook of Supabase, as JSON.')
