"""Progress for browsers by Supabase Realtime, on a private channel of each user; the row says the same, and the truth.

Protocol: `POST /realtime/v1/api/broadcast` with a batch of messages, answered by 202.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx
import structlog

from listener.backoff import delays
from listener.database.model import Delivery
from listener.log import reason_of, redact
from listener.service_key import ServiceKey

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT = 5.0
# Seconds between batches, so that progress moves smoothly.
PAUSE = 0.25
# Jobs that something is to be told of, at most; beyond that the oldest news are dropped.
MOST = 1000
_TENANT = re.compile(r"[\w.@+-]{1,100}")


class Broadcast:
    """Tells users how their jobs get on, as messages `progress` and `finished` at `listener:user:<tenant>`.

    Of each job only the latest news count, and what the server does not take is dropped.

    Args:
        url: of the project.
        key: its secret or service_role key.
        rate: the most messages a second.
        tenant_column: the column that says whose the jobs of a queue are; those of None are not told.
    """

    def __init__(self, url: str, key: str, *, rate: int, tenant_column: Callable[[str], str | None]) -> None:
        self._url = f"{url}/realtime/v1/api/broadcast"
        self._key = ServiceKey(url, key)
        self._pause = max(PAUSE, 1 / rate)
        self._batch = int(rate * self._pause)
        self._tenant_column = tenant_column
        self._news: dict[tuple[str, str], dict[str, Any]] = {}
        self._arrived = anyio.Event()
        self._fails = False

    def publish(self, delivery: Delivery, event: str, news: Mapping[str, Any]) -> None:
        """Have the user told soon, in place of what was to be told of this job before."""
        column = self._tenant_column(delivery.queue)
        tenant = delivery.row.get(column) if column else None
        if tenant is None or not _TENANT.fullmatch(str(tenant)):
            return
        job = (delivery.queue, delivery.key)
        if len(self._news) >= MOST and job not in self._news:
            del self._news[next(iter(self._news))]
        self._news[job] = {
            "topic": f"listener:user:{tenant}",
            "event": event,
            "payload": {"queue": delivery.queue, "key": delivery.key, **news},
            "private": True,
        }
        self._arrived.set()

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = delays(most=60.0)
        async with httpx.AsyncClient(auth=self._key.authorize, timeout=ANSWER_TIMEOUT) as client:
            while True:
                await self._arrived.wait()
                jobs = list(self._news)[: self._batch]
                problem = await self._send(client, [self._news.pop(job) for job in jobs])
                if not self._news:
                    self._arrived = anyio.Event()
                if problem is None:
                    backoff = delays(most=60.0)
                    await anyio.sleep(self._pause)
                else:
                    if not self._fails:
                        log.warning("browsers can't be told of progress; it is tried again", error=problem)
                    await anyio.sleep(max(self._pause, next(backoff)))
                self._fails = problem is not None

    async def _send(self, client: httpx.AsyncClient, messages: list[dict[str, Any]]) -> str | None:
        """Answers what went wrong."""
        try:
            response = await client.post(self._url, json={"messages": messages})
        except (httpx.HTTPError, ValueError) as error:
            return redact(reason_of(error))
        match response.status_code:
            case 200 | 202:
                return None
            case 401 | 403:
                return (
                    "the key is refused; set SUPABASE_SERVICE_KEY to the project's secret or service_role key"
                )
            case 429:
                return "too many messages a second for the project's plan; lower PROGRESS_BROADCAST"
            case status:
                return f"HTTP {status}"
