"""Orders a clip once. No provider takes a name of ours for a request, so what was sent can't be asked for by us; hence
the intent is stored before the one request is sent, and the provider's name for it before anything else is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import anyio

from handlers.clips.model import Ambiguous, ClipError, NotSent, OverQuota, Provider, Ref, Request

Remember = Callable[[Any], Awaitable[None]]
"""Keeps a JSON value for a later attempt, and raises where this one has lost its lease."""

# Seconds for the request and the note of what came of it, which a shutdown waits for as long as it can.
SENDING = 60.0


@dataclass(frozen=True, slots=True)
class Memo:
    """What a checkpoint tells of an order.

    Attributes:
        provider: to whom it goes.
        fingerprint: of the request.
        ref: None from before the request is sent until its answer is there.
    """

    provider: str
    fingerprint: str
    ref: Ref | None = None

    @classmethod
    def of(cls, saved: Any) -> Memo | None:
        """The memo that an earlier attempt gave to `remember`; None where there is none."""
        match saved:
            case {"provider": str(provider), "fingerprint": str(fingerprint), "ref": None}:
                return cls(provider, fingerprint)
            case {
                "provider": str(provider),
                "fingerprint": str(fingerprint),
                "ref": {"request_id": str(request_id), "urls": dict(urls)},
            }:
                return cls(provider, fingerprint, Ref(request_id, urls))
        return None


async def send(provider: Provider, request: Request, remember: Remember) -> Ref:
    """Order a clip by one request.

    Raises:
        ClipError, OverQuota, NotSent: nothing was ordered, and the checkpoint says so.
        Ambiguous: something may have been, and the checkpoint says so.
    """
    intent = Memo(provider.name, request.fingerprint())
    await remember(asdict(intent))
    ref: Ref | None = None
    with anyio.move_on_after(SENDING, shield=True):
        try:
            ref = await provider.submit(request)
        except (ClipError, OverQuota, NotSent):
            await remember(None)
            raise
        await remember(asdict(Memo(intent.provider, intent.fingerprint, ref)))
    if ref is None:
        raise Ambiguous(f"{provider.name} gave no answer within {SENDING:g} s")
    return ref
