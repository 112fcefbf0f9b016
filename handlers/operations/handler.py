"""Operations as jobs: the queues `operations/TYPE`, the route by which a frontend asks, and the hourly cleaning."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel

from listener import App, Caller, Job, caller
from listener.kit import tables
from listener.kit.tables import TablesError, TablesUnavailable

app = App()
router = APIRouter(tags=["operations"])

TABLE = "operations"
HOUR = 3600.0
# Seconds between two signs of life; an hour without one and the operation would be cleaned up.
TOUCH_EVERY = 300.0


class Shown(BaseModel):
    """An operation, as its row has it."""

    id: str
    status: str
    progress: int
    message: str
    result: Any = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: int
    updated_at: int


@router.get(
    "/api/operations/{id:path}", responses={404: {"description": "There is none, or it is another user's."}}
)
async def operation(id: str, asking: Annotated[Caller, Depends(caller)]) -> Shown:  # noqa: A002
    """An operation as it stands. Users see those whose metadata names them as `user_id`."""
    try:
        rows = await tables.current().select(TABLE, where={"id": id})
    except TablesUnavailable:
        # Not 404: the operation may well be there, and a frontend would give it up.
        raise HTTPException(
            503, "The database did not answer; ask again.", headers={"Retry-After": "2"}
        ) from None
    except TablesError as error:
        raise HTTPException(503, f"Operations can't be read: {error}.") from None
    shown = [Shown(**row) for row in rows]
    if not shown or (asking.user_id and (shown[0].metadata or {}).get("user_id") != asking.user_id):
        raise HTTPException(404, f"There is no operation {id!r}.")
    return shown[0]


@app.every(HOUR)
async def clean_up() -> None:
    """As pg_cron does where it is installed."""
    await tables.current().call("cleanup_old_operations")


@asynccontextmanager
async def fresh(job: Job) -> AsyncIterator[None]:
    """Shows signs of life for the length of the block, so that an operation that is at work for hours is not taken for
    a forgotten one. For handlers of `operations/TYPE`."""

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


app.add_routes(router)
