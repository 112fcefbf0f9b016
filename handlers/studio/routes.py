"""`POST /v1/jobs/new`: begins a job for a recording that was uploaded."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, Field

from handlers.studio.audio import RecordingError
from handlers.studio.recording import own_key
from handlers.studio.settings import settings
from listener import Caller, caller
from listener.kit import tables
from listener.kit.storage import BadKey
from listener.kit.storage.base import check
from listener.kit.tables import TablesError
from listener.kit.tables.http import answered

router = APIRouter(tags=["studio"])

TABLE = "studio_jobs"
KEYS = uuid.UUID("5a1b7d0e-6d0c-4f0c-9a53-3c1f0e1b5c77")
"""The namespace of jobs that callers name otherwise than by a uuid."""

NO_SUCH_USER = "23503"  # foreign_key_violation


class NewJob(BaseModel):
    """What to do."""

    user_id: uuid.UUID
    job_id: Annotated[str, Field(min_length=1, max_length=200)]
    """A uuid, which becomes the job's; any other text is a key that the user gives no other job."""
    supabase_file_id: Annotated[str, Field(min_length=1)]
    """The key of the recording in the bucket, in the user's folder."""


class StudioJob(BaseModel):
    """A job, as its row has it."""

    job_id: uuid.UUID
    created_at: str
    status: str
    user_id: uuid.UUID
    raw_audio_url: str | None
    raw_transcript: str | None = None
    refined_text: str | None = None
    system_prompt_used: str | None = None
    processing_time_ms: int | None = None
    error_details: Any = None


@router.post(
    "/v1/jobs/new",
    status_code=201,
    responses={
        200: {"description": "The job was there already."},
        403: {"description": "It is for another user."},
        409: {"description": "The job_id belongs to another recording."},
    },
)
async def new_job(new: NewJob, asking: Annotated[Caller, Depends(caller)], response: Response) -> StudioJob:
    """Begin a job. Called again with the same job_id it begins nothing, and answers the job as it stands."""
    user = str(new.user_id)
    if asking.user_id not in {None, user}:
        raise HTTPException(403, "A signed-in user begins jobs for nobody else; user_id is not yours.")
    try:
        key = own_key(new.supabase_file_id, user)
        check(settings().bucket, key)
    except (RecordingError, BadKey) as error:
        raise HTTPException(422, str(error)) from None
    row = {
        "job_id": job_id(new.job_id, user),
        "user_id": user,
        "raw_audio_url": key,
        # A table may insist on one.
        "system_prompt_used": settings().prompt(),
    }
    with answered("The job can't be stored"):
        try:
            made = await tables.current().insert(TABLE, row, on_conflict=["job_id"], ignore=True)
        except TablesError as error:
            if error.sqlstate == NO_SUCH_USER:
                raise HTTPException(422, f"There is no user {user}.") from None
            raise
        found = made or await tables.current().select(TABLE, where={"job_id": row["job_id"]})
    if not found or (found[0]["user_id"], found[0]["raw_audio_url"]) != (user, key):
        raise HTTPException(409, f"The job_id {new.job_id!r} belongs to another recording; take a new one.")
    if not made:
        response.status_code = 200
    return StudioJob(**found[0])


def job_id(given: str, user: str) -> str:
    """The key of the row: what was given if that is a uuid, else one that is always the same for it and the user."""
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid5(KEYS, f"{user}/{given}"))
