"""The queues `operations/TYPE`, the route that returns an operation, and the hourly deletion of old ones."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypedDict

import anyio
from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel

from handlers.clips import LOOK_EVERY, ClipError, Request, cancel_unwanted, generate
from handlers.operations.model import OPEN
from handlers.shared.outcomes import outcomes
from listener import App, Caller, Job, caller
from listener.kit import storage, tables
from listener.kit.tables import TablesError, TablesUnavailable
from listener.kit.tables.http import answered

app = App()
router = APIRouter(tags=["operations"])

TABLE = "operations"
HOUR = 3600.0
# Seconds between two touches; an operation that was not touched for an hour would be deleted.
TOUCH_EVERY = 300.0
UNDEFINED_FUNCTION = "42883"
BUCKET = "clips"


class Shown(BaseModel):
    """The columns of an operation's row."""

    id: str
    status: str
    progress: int
    message: str
    result: Any = None
    error: str | None = None
    metadata: Any = None
    created_at: int
    updated_at: int


@router.get(
    "/api/operations/{id:path}", responses={404: {"description": "There is none, or it is another user's."}}
)
async def operation(id: str, asking: Annotated[Caller, Depends(caller)]) -> Shown:  # noqa: A002
    """Return an operation. Users see those whose metadata names them as `user_id`."""
    with answered("Operations can't be read"):
        # Postgres refuses a query for a text with a zero byte.
        rows = [] if "\0" in id else await tables.current().select(TABLE, where={"id": id})
    if not rows or (asking.user_id and _owner(rows[0]["metadata"]) != asking.user_id):
        raise HTTPException(404, f"There is no operation {id!r}.")
    return Shown(**rows[0])


def _owner(metadata: object) -> object:
    return metadata.get("user_id") if isinstance(metadata, dict) else None


@app.every(HOUR)
async def clean_up() -> None:
    """Delete old operations, as pg_cron does where it is installed."""
    try:
        await tables.current().call("cleanup_old_operations")
    except TablesError as error:
        # The preset `operations` is not installed.
        if error.sqlstate != UNDEFINED_FUNCTION:
            raise


@app.every(LOOK_EVERY)
async def cancel_at_provider() -> None:
    """Cancel the orders of operations that were ended or deleted."""
    await cancel_unwanted("operations/video_generation", TABLE, open_=OPEN, done="complete")


@asynccontextmanager
async def fresh(job: Job) -> AsyncIterator[None]:
    """Touch the row for the length of the block, so that an operation that runs for hours is not deleted as forgotten.

    For handlers of `operations/TYPE`.
    """

    # A snooze does not touch the row.
    if time.time() - job.row["updated_at"] / 1000 > TOUCH_EVERY:
        with suppress(TablesUnavailable):
            await tables.current().update(
                TABLE, {"status": "processing"}, where={"id": job.key, "status": "processing"}
            )

    async def touch() -> None:
        while True:
            await anyio.sleep(TOUCH_EVERY)
            job.progress(None)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(touch)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


class Ended(TypedDict):
    """The column of the row that a finished operation fills."""

    result: dict[str, Any]


@app.handler("operations/video_generation", concurrency=4, timeout=900)
async def video_generation(job: Job) -> Ended:
    """Generate the clip that the metadata describes: `prompt`, and optionally `duration`, `aspect_ratio`, `image_url`
    and `provider`. The result has its `url`, valid for seven days."""
    async with fresh(job):
        with outcomes("The clip could not be made", fail=(ClipError,)):
            return {"result": {"url": await _clip(job)}}


async def _clip(job: Job) -> str:
    """Make the clip and return the address of its file."""
    request = Request.of(job.row["metadata"])
    made = await generate(job, request, saved=job.saved, remember=job.checkpoint)
    job.progress(80, "uploading")
    # An id may hold characters that a key may not.
    name = hashlib.sha256(job.key.encode()).hexdigest()[:32]
    return await storage.publish(BUCKET, made.path, f"operations/{name}/clip.mp4", fence=job.fence)


app.add_routes(router)
