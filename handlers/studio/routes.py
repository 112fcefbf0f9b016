"""The route `POST /v1/jobs/new`: create a job for an uploaded recording."""

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
"""The namespace of job ids that are not uuids."""

NO_SUCH_USER = "23503"  # foreign_key_violation


class NewJob(BaseModel):
    """The request."""

    user_id: uuid.UUID
    job_id: Annotated[str, Field(min_length=1, max_length=200)]
    """A uuid, which becomes the job's; any other text is a key that the user gives no other job."""
    supabase_file_id: Annotated[str, Field(min_length=1)]
    """The key of the recording in the bucket, in the user's folder."""


class StudioJob(BaseModel):
    """The columns of a job's row."""

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
    """Create a job. A second call with the same job_id creates nothing and returns the job."""
    user = str(new.user_id)
    if asking.user_id not in {None, user}:
        raise HTTPException(
            403, "user_id is another user's; a signed-in user can create jobs only for themselves."
        )
    try:
        key = own_key(new.supabase_file_id, user)
        check(settings().bucket, key)
    except (RecordingError, BadKey) as error:
        raise HTTPException(422, str(error)) from None
    row = {
        "job_id": job_id(new.job_id, user),
        "user_id": user,
        "raw_audio_url": key,
        # The column may be `not null`.
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
    """Return the key of the row: the given uuid, or a uuid derived from the given text and the user."""
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid5(KEYS, f"{user}/{given}"))
