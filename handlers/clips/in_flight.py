"""Keep the orders in flight of this process, to cancel them at the provider when their rows are cancelled.

A job that waits for its provider is snoozed, so no handler runs that a cancelled row could stop.
"""

from __future__ import annotations

from collections.abc import Collection

import anyio

from handlers.clips.model import Provider, Ref
from listener import Job
from listener.kit import tables

LOOK_EVERY = 15.0
CANCEL_TIMEOUT_SECONDS = 10.0

_orders: dict[tuple[str, str], tuple[Provider, Ref]] = {}


def note(job: Job, provider: Provider, ref: Ref) -> None:
    """Remember the order of a job."""
    _orders[job.queue, job.key] = provider, ref


def forget(job: Job) -> None:
    """Forget the order of a job."""
    _orders.pop((job.queue, job.key), None)


async def cancel_unwanted(queue: str, table: str, *, open_: Collection[str], done: str) -> None:
    """Cancel the orders of rows that were deleted, or that have ended without their clip.

    Args:
        queue: of the jobs.
        table: of their rows.
        open_: status words of rows that wait for their clip.
        done: status word of rows that have it, perhaps from another process.
    """
    keys = [key for of, key in _orders if of == queue]
    if not keys:
        return
    rows = await tables.current().select(table, where={"id": keys}, columns=["id", "status"])
    words = {str(row["id"]): row["status"] for row in rows}
    for key in keys:
        if words.get(key) in open_:
            continue
        order = _orders.pop((queue, key), None)
        if order and words.get(key) != done:
            provider, ref = order
            with anyio.move_on_after(CANCEL_TIMEOUT_SECONDS):
                await provider.cancel(ref)
