"""Order a clip once.

No provider accepts an id of ours for a request, so a lost response can't be asked for again. Therefore the intent is
stored before the request is sent, and the provider's reference right after its response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import anyio

from handlers.clips.model import Ambiguous, ClipError, NotSent, OverQuota, Provider, Ref, Request

Remember = Callable[[Any], Awaitable[None]]
"""Stores a JSON value for a later attempt; raises if this attempt has lost its lease."""

# Seconds for the request and for storing its reference; a shutdown waits that long.
SENDING = 60.0


@dataclass(frozen=True, slots=True)
class Memo:
    """An order as it is stored in a checkpoint.

    Attributes:
        provider: name of the provider.
        fingerprint: of the request.
        ref: None from before the request is sent until its answer is there.
    """

    provider: str
    fingerprint: str
    ref: Ref | None = None

    @classmethod
    def of(cls, saved: Any) -> Memo | None:
        """Return the memo that an earlier attempt stored, or None."""
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
        Ambiguous: a clip may have been ordered, and the checkpoint says so.
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
        raise Ambiguous(f"{provider.name} did not respond within {SENDING:g} s")
    return ref
