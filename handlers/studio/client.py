"""Create, read and change the jobs of the studio from another program."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from listener import ConfigError, ListenerError
from listener.kit.configured import configured_tables
from listener.kit.settings import Settings
from listener.kit.tables import Row, Tables
from listener.kit.tables.rest import RestTables

TABLE = "studio_jobs"


class StudioJobError(ListenerError):
    """The call makes no sense; the text says why."""


class StudioJobNotFound(StudioJobError):
    """There is no such job, or it belongs to another user."""


class StudioJobOver(StudioJobError):
    """The job has ended; only `update_status` changes it."""


class Statuses:
    """The words of the column `status`."""

    STATUS_NEW = "NEW"
    STATUS_TRANSCRIBING = "TRANSCRIBING"
    STATUS_ENRICHING = "ENRICHING"
    STATUS_REFINING = "REFINING"
    STATUS_COMPLETE = "COMPLETE"
    STATUS_FAILED = "FAILED"

    OPEN = (STATUS_NEW, STATUS_TRANSCRIBING, STATUS_ENRICHING, STATUS_REFINING)
    ALL = (*OPEN, STATUS_COMPLETE, STATUS_FAILED)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the jobs that the client may see.

    Attributes:
        by_status: number of jobs by status.
        mean_ms, p95_ms: milliseconds that complete jobs took, or None.
        recent_failures: the last ten, each with job_id, created_at and error_details.
    """

    by_status: dict[str, int]
    mean_ms: float | None
    p95_ms: float | None
    recent_failures: list[Row]


class AsyncStudioJobsClient(Statuses):
    """Rows of `studio_jobs`, as dicts of JSON types.

    The service runs jobs that are created with the status NEW. A job with another status is left to other programs.

    Every method raises TablesUnavailable when the database does not answer, and TablesError when it refuses.

    Args:
        tables: the tables; None takes DATABASE_URL, else SUPABASE_URL and the service key.
        token: of a signed-in user, who then acts with SUPABASE_URL and SUPABASE_ANON_KEY, under the table's policies.

    Raises:
        ConfigError: no database is configured.
    """

    def __init__(self, tables: Tables | None = None, *, token: str | None = None) -> None:
        self._tables = tables or _configured(token)

    async def create_job(
        self,
        user_id: str,
        raw_audio_url: str | None = None,
        system_prompt: str | None = None,
        *,
        status: str = Statuses.STATUS_NEW,
    ) -> Row:
        """Create a job.

        Args:
            user_id: in auth.users.
            raw_audio_url: an https address, or a key in the user's folder of the bucket.
            system_prompt: instructions for the text; None takes the service's.
            status: NEW, or another one for a job that another program runs.
        """
        row = {"user_id": user_id, "raw_audio_url": raw_audio_url, "status": _known(status)}
        if system_prompt is not None:
            row["system_prompt_used"] = system_prompt
        return (await self._tables.insert(TABLE, row))[0]

    async def get_job(self, job_id: str) -> Row | None:
        """Return a job, or None."""
        rows = await self._tables.select(TABLE, where={"job_id": job_id})
        return rows[0] if rows else None

    async def list_jobs(self, user_id: str, *, limit: int = 100) -> builtins.list[Row]:
        """Return the jobs of a user, the newest first."""
        return await self._tables.select(TABLE, where={"user_id": user_id}, order="-created_at", limit=limit)

    async def update_status(self, job_id: str, status: str) -> Row:
        """Set the status of a job; NEW lets the service run it (again)."""
        return await self._change(job_id, {"status": _known(status)}, self.ALL)

    async def store_transcript(self, job_id: str, transcript: str) -> Row:
        """Store the transcript; the job becomes ENRICHING."""
        return await self._change(
            job_id, {"raw_transcript": transcript, "status": self.STATUS_ENRICHING}, self.OPEN
        )

    async def store_refined_text(self, job_id: str, text: str) -> Row:
        """Store the finished text; the job becomes COMPLETE."""
        return await self._change(job_id, {"refined_text": text, "status": self.STATUS_COMPLETE}, self.OPEN)

    async def fail(self, job_id: str, error: str | Exception | Mapping[str, Any]) -> Row:
        """End a job as FAILED. A mapping is stored as it is, else {stage, error, message, attempt, time}."""
        details: Mapping[str, Any]
        if isinstance(error, Mapping):
            details = error
        else:
            job = await self.get_job(job_id)
            details = {
                "stage": job and job["status"],
                "error": "Fail" if isinstance(error, str) else type(error).__name__,
                "message": str(error),
                "attempt": None,
                "time": datetime.now(UTC).isoformat(),
            }
        return await self._change(
            job_id, {"error_details": dict(details), "status": self.STATUS_FAILED}, self.OPEN
        )

    async def statistics(self) -> Statistics:
        """Return statistics. Needs the function studio_jobs_statistics, which comes with the preset `studio_jobs`."""
        return Statistics(**await self._tables.call("studio_jobs_statistics"))

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()

    async def _change(self, job_id: str, values: Row, when: tuple[str, ...]) -> Row:
        rows = await self._tables.update(TABLE, values, where={"job_id": job_id, "status": list(when)})
        if rows:
            return rows[0]
        job = await self.get_job(job_id)
        if job is None:
            raise StudioJobNotFound(f"There is no studio job {job_id}.")
        raise StudioJobOver(f"The studio job {job_id} has ended with the status {job['status']}.")


def _known(status: str) -> str:
    if status not in Statuses.ALL:
        raise StudioJobError(
            f"{status!r} is not a status of a studio job; use one of {', '.join(Statuses.ALL)}."
        )
    return status


def _configured(token: str | None) -> Tables:
    settings = Settings.load()
    if token is not None:
        if settings.supabase_url is None or settings.supabase_anon_key is None:
            raise ConfigError("A user's token needs SUPABASE_URL and SUPABASE_ANON_KEY; set them.")
        return RestTables(settings.supabase_url, settings.supabase_anon_key.get_secret_value(), token)
    return configured_tables(settings)
