"""Send progress to browsers by Supabase Realtime, on a private channel of each user.

The rows have the same values, and count if a message is lost. Protocol: `POST /realtime/v1/api/broadcast` with a batch
of messages; the server responds with 202.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx
import structlog

from listener.backoff import delays
from listener.config import Settings
from listener.database.model import Delivery
from listener.log import reason_of, redact
from listener.service_key import ServiceKey
from listener.wakeup import Wakeup

log = structlog.get_logger(__name__)

HTTP_TIMEOUT = 5.0
# Seconds between batches: short enough that a progress bar moves smoothly.
MIN_PAUSE = 0.25
# Jobs with a message that is not sent yet; beyond that number the oldest message is dropped.
MAX_WAITING = 1000
_TENANT = re.compile(r"[\w.@+-]{1,100}")


def make_broadcast(settings: Settings, tenant_column: Callable[[str], str | None]) -> Broadcast | None:
    """Make the Broadcast that the settings ask for; None without PROGRESS_BROADCAST."""
    if not settings.progress_broadcast or not settings.project:
        return None
    return Broadcast(*settings.project, rate=settings.progress_broadcast, tenant_column=tenant_column)


class Broadcast:
    """Send messages `progress` and `finished` about a user's jobs to the topic `listener:user:<tenant>`.

    A newer message about a job replaces one that is not sent yet. Messages that the server refuses are dropped.

    Args:
        url: the project's address.
        key: its secret or service_role key.
        rate: the most messages a second.
        tenant_column: returns the column that names the user whose job a row of a queue is; None sends no messages.
    """

    def __init__(self, url: str, key: str, *, rate: int, tenant_column: Callable[[str], str | None]) -> None:
        self._url = f"{url}/realtime/v1/api/broadcast"
        self._key = ServiceKey(url, key)
        self._pause = max(MIN_PAUSE, 1 / rate)
        self._batch = int(rate * self._pause)
        self._tenant_column = tenant_column
        self._waiting: dict[tuple[str, str], dict[str, Any]] = {}
        self._arrived = Wakeup()
        self._fails = False

    def publish(self, delivery: Delivery, event: str, content: Mapping[str, Any]) -> None:
        """Send this soon, in place of the job's message that is not sent yet."""
        column = self._tenant_column(delivery.queue)
        tenant = delivery.row.get(column) if column else None
        if tenant is None or not _TENANT.fullmatch(str(tenant)):
            return
        job = (delivery.queue, delivery.key)
        if len(self._waiting) >= MAX_WAITING and job not in self._waiting:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[job] = {
            "topic": f"listener:user:{tenant}",
            "event": event,
            "payload": {"queue": delivery.queue, "key": delivery.key, **content},
            "private": True,
        }
        self._arrived.set()

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = delays(most=60.0)
        async with httpx.AsyncClient(auth=self._key.authorize, timeout=HTTP_TIMEOUT) as client:
            while True:
                await self._arrived.wait()
                while self._waiting:
                    jobs = list(self._waiting)[: self._batch]
                    problem = await self._send(client, [self._waiting.pop(job) for job in jobs])
                    if problem is None:
                        backoff = delays(most=60.0)
                        await anyio.sleep(self._pause)
                    else:
                        if not self._fails:
                            log.warning("progress messages not sent", error=problem)
                        await anyio.sleep(max(self._pause, next(backoff)))
                    self._fails = problem is not None

    async def _send(self, client: httpx.AsyncClient, messages: list[dict[str, Any]]) -> str | None:
        """Send a batch, and return what went wrong, or None."""
        try:
            response = await client.post(self._url, json={"messages": messages})
        except (httpx.HTTPError, ValueError) as error:
            return redact(reason_of(error))
        match response.status_code:
            case 200 | 202:
                return None
            case 401 | 403:
                return "the server refused the key; set SUPABASE_SERVICE_KEY to the project's secret key"
            case 429:
                return "too many messages a second for the project's plan; lower PROGRESS_BROADCAST"
            case status:
                return f"HTTP {status}"
