"""The HTTP side of the service: all routes on one port, and their calls into the main loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import anyio
from anyio.abc import TaskStatus
from fastapi import APIRouter

from listener.config import Settings
from listener.database.store import Store
from listener.metrics import Metrics
from listener.status import Status
from listener.web import dashboard, webhook
from listener.web.app import create_app
from listener.web.readings import Question
from listener.web.server import WebServer

FRESHNESS = 1.0  # seconds that metrics wait for the numbers of the fleet


class Site:
    """A component. The routes run in a separate thread and event loop, and respond even if the main loop hangs.

    Args:
        store: used by the dashboard.
        routers: further routes that check their callers.
        wake: called in the main loop when a webhook was called.
        refresh: awaited in the main loop before metrics are shown.
    """

    def __init__(
        self,
        settings: Settings,
        status: Status,
        metrics: Metrics,
        store: Store,
        routers: Iterable[APIRouter],
        *,
        wake: Callable[[], None],
        refresh: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._status = status
        self._store = store
        self._wake = wake
        self._refresh = refresh
        shown = [webhook.routes(settings, self._called), dashboard.page(), *routers]
        guarded = [dashboard.routes(status, self._ask)]
        site = create_app(settings, status, metrics, guarded, shown, self._freshen)
        self._server = WebServer(site, settings, status)

    async def run(self, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, as `WebServer.run` does."""
        self._loop = asyncio.get_running_loop()
        await self._server.run(task_status=task_status)

    # The following methods run in the HTTP thread.

    def _called(self) -> None:
        self._loop.call_soon_threadsafe(self._wake)

    async def _ask(self, question: Question, patience: float) -> Any:
        """Run a query in the main loop; the type is `readings.Ask`."""
        asked = asyncio.run_coroutine_threadsafe(question(self._store), self._loop)
        return await asyncio.wait_for(asyncio.wrap_future(asked), patience)

    async def _freshen(self) -> None:
        if self._status.connected:
            reading = asyncio.run_coroutine_threadsafe(self._refresh(), self._loop)
            # With a timeout, because the main loop may hang.
            await asyncio.wait([asyncio.wrap_future(reading)], timeout=FRESHNESS)
