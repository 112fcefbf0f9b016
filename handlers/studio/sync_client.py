"""`AsyncStudioJobsClient` for programs without an event loop."""

from __future__ import annotations

from handlers.studio.client import AsyncStudioJobsClient, Statuses
from listener.kit.sync import SyncClient, waits
from listener.kit.tables import Tables


class StudioJobsClient(Statuses, SyncClient[AsyncStudioJobsClient]):
    """The methods of `AsyncStudioJobsClient`, which wait for their result. Close it, or use it as a context manager.

    Args:
        tables, token: as for `AsyncStudioJobsClient`.
    """

    def __init__(self, tables: Tables | None = None, *, token: str | None = None) -> None:
        super().__init__(AsyncStudioJobsClient(tables, token=token))

    create_job = waits(AsyncStudioJobsClient.create_job)
    get_job = waits(AsyncStudioJobsClient.get_job)
    list_jobs = waits(AsyncStudioJobsClient.list_jobs)
    update_status = waits(AsyncStudioJobsClient.update_status)
    store_transcript = waits(AsyncStudioJobsClient.store_transcript)
    store_refined_text = waits(AsyncStudioJobsClient.store_refined_text)
    fail = waits(AsyncStudioJobsClient.fail)
    statistics = waits(AsyncStudioJobsClient.statistics)
