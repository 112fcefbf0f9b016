"""The routes that create briefs and return their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException

from handlers.briefs.model import BriefError, NewBrief
from handlers.briefs.store import AsyncBriefs
from listener import Caller, caller
from listener.kit.tables.http import answered

router = APIRouter(tags=["briefs"])
Asking = Annotated[Caller, Depends(caller)]


@router.post("/api/briefs", status_code=201)
async def create_brief(brief: NewBrief, asking: Asking) -> dict[str, Any]:
    """Create a brief with its first job, in one transaction. A signed-in user creates briefs for themselves only."""
    if asking.user_id and asking.user_id != str(brief.user_id):
        raise HTTPException(
            403, "user_id is another user's; a signed-in user can create briefs only for themselves."
        )
    with _answers():
        return dict(await AsyncBriefs().create_brief_with_job(**brief.model_dump()))


@router.get("/api/jobs")
async def jobs(
    asking: Asking, action: Literal["pending", "active", "stats", "by_brief"], brief_id: str | None = None
) -> dict[str, Any]:
    """Return jobs. A signed-in user sees the jobs of their briefs, and not the statistics of all."""
    with _answers():
        briefs = AsyncBriefs()
        match action:
            case "pending":
                return {"jobs": await briefs.pending(user_id=asking.user_id)}
            case "active":
                return {"jobs": await briefs.active(user_id=asking.user_id)}
            case "stats" if asking.user_id:
                raise HTTPException(
                    403, "A signed-in user may not see the statistics; send the service's API_TOKEN."
                )
            case "stats":
                return {"stats": await briefs.stats()}
            case _ if brief_id is None:
                raise HTTPException(422, "by_brief needs a brief_id.")
            case _:
                try:
                    return {"jobs": await briefs.by_brief(brief_id, user_id=asking.user_id)}
                except BriefError as error:
                    raise HTTPException(404, str(error)) from None


@contextmanager
def _answers() -> Iterator[None]:
    try:
        with answered("Briefs can't be kept here"):
            yield
    except BriefError as error:
        raise HTTPException(422, str(error)) from None
