"""The client for programs without an event loop."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from handlers.studio.client import AsyncStudioJobsClient, Statistics, Statuses
from listener.kit.sync import Twin
from listener.kit.tables import Row, Tables


class StudioJobsClient(Statuses, Twin[AsyncStudioJobsClient]):
    """`AsyncStudioJobsClient`, each method of which waits; they mean and raise the same. Close it when done.

    Args:
        tables, token: as there.
    """

    def __init__(self, tables: Tables | None = None, *, token: str | None = None) -> None:
        super().__init__(AsyncStudioJobsClient(tables, token=token))

    def create_job(
        self,
        user_id: str,
        raw_audio_url: str | None = None,
        system_prompt: str | None = None,
        *,
        status: str = Statuses.STATUS_NEW,
    ) -> Row:
        """See `AsyncStudioJobsClient.create_job`."""
        return self._blocking.call(
            self._client.create_job, user_id, raw_audio_url, system_prompt, status=status
        )

    def get_job(self, job_id: str) -> Row | None:
        """See `AsyncStudioJobsClient.get_job`."""
        return self._blocking.call(self._client.get_job, job_id)

    def list_jobs(self, user_id: str, *, limit: int = 100) -> builtins.list[Row]:
        """See `AsyncStudioJobsClient.list_jobs`."""
        return self._blocking.call(self._client.list_jobs, user_id, limit=limit)

    def update_status(self, job_id: str, status: str) -> Row:
        """See `AsyncStudioJobsClient.update_status`."""
        return self._blocking.call(self._client.update_status, job_id, status)

    def store_transcript(self, job_id: str, transcript: str) -> Row:
        """See `AsyncStudioJobsClient.store_transcript`."""
        return self._blocking.call(self._client.store_transcript, job_id, transcript)

    def store_refined_text(self, job_id: str, text: str) -> Row:
        """See `AsyncStudioJobsClient.store_refined_text`."""
        return self._blocking.call(self._client.store_refined_text, job_id, text)

    def fail(self, job_id: str, error: str | Exception | Mapping[str, Any]) -> Row:
        """See `AsyncStudioJobsClient.fail`."""
        return self._blocking.call(self._client.fail, job_id, error)

    def statistics(self) -> Statistics:
        """See `AsyncStudioJobsClient.statistics`."""
        return self._blocking.call(self._client.statistics)
