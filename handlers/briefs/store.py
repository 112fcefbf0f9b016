"""Create and read briefs and jobs from an application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict
from uuid import UUID

from handlers.briefs.model import BriefError, NewBrief, NewJob
from listener.kit import tables
from listener.kit.configured import configured_tables
from listener.kit.settings import Settings
from listener.kit.tables import Row, Tables, TablesError

MAX_ROWS = 200
# Errors of the values, not of the database: a check, a missing value, a malformed one, or one with a zero byte.
_GIVEN = {"23514", "23502", "22P02", "22P05"}


class Created(TypedDict):
    """A brief and its first job, as their rows have them."""

    brief: Row
    job: Row


class AsyncBriefs:
    """Briefs and jobs. Every method raises TablesUnavailable when the database does not answer.

    Args:
        rows: the tables; None takes those of this process, else DATABASE_URL, else SUPABASE_URL and the
            service key.
    """

    def __init__(self, rows: Tables | None = None) -> None:
        self._rows = rows or _configured()

    async def create_brief_with_job(
        self,
        *,
        user_id: str | UUID,
        title: str,
        description: str = "",
        query: str = "",
        media_type: str = "text",
        use_pipeline: bool = False,
        metadata: Mapping[str, Any] | None = None,
        steps: Sequence[str] | None = None,
    ) -> Created:
        """Create a brief with its first job, in one transaction.

        Args:
            user_id: in auth.users.
            title: up to 300 characters.
            query: the request, in the user's words.
            media_type: video, image, audio or text.
            use_pipeline: run all steps of the media type; else analysis only.
            metadata: options and assets of the steps.
            steps: run these instead of the pipeline's.

        Raises:
            BriefError: a field is malformed, or there is no such user.
        """
        asked = NewBrief.check(
            user_id=user_id, title=title, description=description, query=query, media_type=media_type,
            use_pipeline=use_pipeline, metadata=dict(metadata or {}), steps=steps and list(steps),
        )  # fmt: skip
        given = {name: value for name, value in asked.items() if value is not None}
        async with _refusing(f"There is no user {user_id}."):
            made: Created = await self._rows.call("create_brief_with_job", **given)
        return made

    async def create_job(
        self,
        *,
        type: str,  # noqa: A002 - the column's name
        brief_id: str | UUID | None = None,
        payload: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: int = 0,
        max_attempts: int = 3,
    ) -> Row:
        """Create a job of no pipeline. Its end does not change its brief.

        Args:
            type: jobs of an unknown type are left to other programs.
            priority: the highest comes first.

        Raises:
            BriefError: a field is malformed, or there is no such brief.
        """
        asked = NewJob.check(
            type=type, brief_id=brief_id, payload=dict(payload or {}), metadata=dict(metadata or {}),
            priority=priority, max_attempts=max_attempts,
        )  # fmt: skip
        async with _refusing(f"There is no brief {brief_id}."):
            return (await self._rows.insert("jobs", asked))[0]

    async def pending(self, *, user_id: str | None = None) -> list[Row]:
        """Return the waiting jobs in their order, of one user or of all."""
        return await self._of("pending_jobs_queue", user_id, "place")

    async def active(self, *, user_id: str | None = None) -> list[Row]:
        """Return the running jobs, the oldest first."""
        return await self._of("active_jobs", user_id, "started_at")

    async def stats(self) -> list[Row]:
        """Return the number of jobs by type and status."""
        return await self._rows.select("job_stats", order="-count")

    async def by_brief(self, brief_id: str | UUID, *, user_id: str | None = None) -> list[Row]:
        """Return the jobs of a brief, the oldest first.

        Raises:
            BriefError: there is no such brief, or it is another user's.
        """
        try:
            where = {"id": str(UUID(str(brief_id)))} | ({"user_id": user_id} if user_id else {})
        except ValueError:
            raise BriefError("brief_id must be a uuid.") from None
        if not await self._rows.select("briefs", where=where, columns=["id"]):
            raise BriefError(f"There is no brief {brief_id}.")
        return await self._rows.select(
            "jobs", where={"brief_id": where["id"]}, order="created_at", limit=MAX_ROWS
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._rows.close()

    async def _of(self, view: str, user_id: str | None, order: str) -> list[Row]:
        where = {"user_id": user_id} if user_id else None
        return await self._rows.select(view, where=where, order=order, limit=MAX_ROWS)


@asynccontextmanager
async def _refusing(missing: str) -> AsyncIterator[None]:
    """Turn refusals of the database into BriefError; `missing` is the sentence for a row that does not exist."""
    try:
        yield
    except TablesError as error:
        if error.sqlstate == "23503":
            raise BriefError(missing) from error
        if error.sqlstate in _GIVEN:
            raise BriefError(f"The database refused it: {error}") from error
        raise


def _configured() -> Tables:
    try:
        return tables.current()
    except TablesError:
        return configured_tables(Settings.load())
