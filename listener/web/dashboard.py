"""The dashboard: a page without data, and the JSON that it loads. Nothing here changes a job.

`GET /api/v1/events` uses Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html), an
event a second: `overview`, or `problem` when there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from listener.errors import DatabaseError
from listener.status import Status
from listener.web.errors import Problem
from listener.web.health import health_of
from listener.web.overdue import command
from listener.web.readings import Ask, Readings, Unanswered, sentence

_PAGE = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "No data now, with the reason."}
}


def page() -> APIRouter:
    """Return the routes of the page at `/dashboard` and `/test-worker`. It has no data, so it is open to all."""
    router = APIRouter(include_in_schema=False)

    @router.get("/dashboard")
    @router.get("/test-worker")
    async def show() -> FileResponse:
        return FileResponse(_PAGE / "dashboard.html", headers=_HEADERS)

    @router.get("/dashboard/{name}")
    async def part(name: str) -> FileResponse:
        # Only existing files can be requested.
        if name not in {path.name for path in _PAGE.iterdir()}:
            raise HTTPException(404, "The dashboard has no such file.")
        return FileResponse(_PAGE / name, headers=_HEADERS)

    return router


def routes(status: Status, ask: Ask) -> APIRouter:
    """Return the routes of the JSON that the page loads. They need the rights of the service.

    Args:
        status: the state of this process.
        ask: asks the database, from the event loop of the routes.
    """
    router = APIRouter(prefix="/api/v1", tags=["dashboard"], responses=_REFUSALS)
    readings = Readings(status, ask)

    @router.get("/overview")
    async def overview() -> dict[str, Any]:
        """Return queues, workers, jobs, and the state of this process."""
        seen = await _or_503(readings.overview.get())
        return {**seen, "age": readings.overview.age, "service": health_of(status).model_dump()}

    @router.get("/stuck")
    async def stuck() -> dict[str, Any]:
        """Return overdue jobs, with the reason and what to do."""
        found: dict[str, Any] = await _or_503(readings.stuck.get())
        return found

    @router.get("/job", responses={404: {"model": Problem, "description": "The job does not exist."}})
    async def job(
        queue: Annotated[str, Query(max_length=200)], key: Annotated[str, Query(max_length=2000)]
    ) -> dict[str, Any]:
        """Return one job with its attempts, without the user's columns."""
        try:
            found = await _or_503(readings.job(queue, key))
        except DatabaseError as error:
            # A key with the wrong type can't be the key of a job.
            raise HTTPException(404, sentence(error)) from None
        if found is None:
            raise HTTPException(404, f"There is no job '{key}' in queue {queue}.")
        return {**found, "commands": _commands(found)}

    @router.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        """Stream the overview, every second, as Server-Sent Events."""
        while not status.closing:
            service = health_of(status).model_dump()
            try:
                seen = await readings.overview.get()
                data = {**seen, "age": readings.overview.age, "service": service}
                yield ServerSentEvent(event="overview", data=data)
            except Unanswered as problem:
                yield ServerSentEvent(event="problem", data={"error": str(problem), "service": service})
            while not status.closing and (rest := readings.overview.rest) > 0:  # noqa: ASYNC110 - set by a thread
                # A service that shuts down does not wait for viewers; another thread sets `closing`.
                await asyncio.sleep(min(rest, 0.2))

    return router


async def _or_503(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except Unanswered as problem:
        raise HTTPException(503, str(problem), headers={"Retry-After": "2"}) from None


def _commands(job: dict[str, Any]) -> list[str]:
    """Return commands for a job; none if its key contains control characters."""
    names = job["queue"], job["key"]
    delivery = job["delivery"] or {}
    verbs = ["requeue"] if job["state"] in {"failed", "cancelled", "done"} or not delivery else ["cancel"]
    if delivery.get("state") == "broken":
        verbs = ["requeue", "cancel"]
    lines = [command(verb, *names) for verb in verbs]
    return [line for line in lines if line]
