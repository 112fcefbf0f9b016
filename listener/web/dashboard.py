"""The dashboard: a page that holds no data, and the JSON behind it. Both only look; nothing here changes a job.

`GET /api/v1/events` speaks Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html), an
event a second: `overview`, or `problem` when there is none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, StreamingResponse

from listener.errors import DatabaseError, DatabaseUnavailable
from listener.overdue import command, explain
from listener.status import Status
from listener.store import Store
from listener.web.errors import Problem
from listener.web.health import health_of, hung

PATIENCE = 4.0
"""Seconds that the database gets for an answer; for `stuck`, which scans the tables of users, `LONG_PATIENCE`."""

LONG_PATIENCE = 9.0

SECOND = 1.0
"""Seconds from one reading of the overview to the next, at least."""

STUCK_EVERY = 12.0
"""Seconds from one reading of what is overdue to the next, at least."""

HANGS_AFTER = 2.0
"""Seconds without a turn of the main loop after which it is not asked any more."""

_PAGE = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
_REFUSALS: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "Not now, and why."}}


Question = Callable[[Store], Coroutine[Any, Any, Any]]

Ask = Callable[[Question, float], Awaitable[Any]]
"""Has the main loop ask the database; raises TimeoutError after so many seconds."""


class Unanswered(Exception):
    """There is no answer now; the text is the sentence that says why."""


class Shared:
    """What several viewers want to know: read for all of them at once, and not again for a while. Nobody asks, nothing
    is read.

    Args:
        read: reads it; may raise Unanswered.
        pause: seconds from one reading to the next, at least.
        share: of the time that readings may take; after a slow one the pause is up to ten times as long. What was
            given up is no better: the database goes on with it for a while.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]], pause: float, share: float) -> None:
        self._read = read
        self._pause = pause
        self._share = share
        self._reading: asyncio.Task[Any | Unanswered] | None = None
        self._answered_at = self._again_at = 0.0

    async def get(self) -> Any:
        """The last answer, or a new one where it is time.

        Raises:
            Unanswered: the last reading had no answer.
        """
        if self._reading is None or (self._reading.done() and self.rest == 0):
            self._reading = asyncio.create_task(self._take())
        # Of its own: a viewer who leaves doesn't take it from the others.
        answer = await asyncio.shield(self._reading)
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    @property
    def age(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self._answered_at

    @property
    def rest(self) -> float:
        """Seconds until there may be a new answer."""
        return max(0.0, self._again_at - time.monotonic())

    async def _take(self) -> Any | Unanswered:
        started = time.monotonic()
        try:
            return await self._read()
        except Unanswered as problem:
            return problem
        except DatabaseError as error:
            return Unanswered(_sentence(error))
        finally:
            self._answered_at = time.monotonic()
            took = self._answered_at - started
            pause = min(max(self._pause, took / self._share), 10 * self._pause)
            self._again_at = started + max(took, pause)


class Reader:
    """Asks the database for the pages, and says in a sentence why there is no answer.

    Args:
        status: of this process.
        ask: asks, from the loop of the routes.
    """

    def __init__(self, status: Status, ask: Ask) -> None:
        self._status = status
        self._ask = ask
        # The service itself needs its connections more.
        self._turns = asyncio.Semaphore(2)
        self.overview = Shared(lambda: self.ask(lambda store: store.overview(), PATIENCE), SECOND, 1 / 3)
        self.stuck = Shared(self._stuck, STUCK_EVERY, 1 / 10)

    async def ask(self, question: Question, patience: float) -> Any:
        """The answer to a question.

        Raises:
            Unanswered: there is none now.
            DatabaseError: the question has no answer.
        """
        if reason := self._away():
            raise Unanswered(reason)
        try:
            async with self._turns:
                return await self._ask(question, patience)
        except TimeoutError:
            late = f"The database has not answered within {patience:g} s."
            raise Unanswered(self._away() or late) from None
        except DatabaseUnavailable as error:
            raise Unanswered(_sentence(error)) from None
        except DatabaseError as error:
            if error.sqlstate.startswith(("22", "P0")):
                raise
            raise Unanswered(_sentence(error)) from None

    async def _stuck(self) -> dict[str, Any]:
        found = await self.ask(lambda store: store.stuck(), LONG_PATIENCE)
        return {"stuck": [job | _words(job) for job in found]}

    def _away(self) -> str | None:
        if self._status.silence > HANGS_AFTER:
            return hung(self._status)
        if not self._status.connected:
            return f"The database has not answered for {self._status.disconnected_for:.0f} s."
        return None


def page() -> APIRouter:
    """The page at `/dashboard` and `/test-worker`, open to everybody: there is nothing in it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/dashboard")
    @router.get("/test-worker")
    async def show() -> FileResponse:
        return FileResponse(_PAGE / "dashboard.html", headers=_HEADERS)

    @router.get("/dashboard/{name}")
    async def part(name: str) -> FileResponse:
        # Only what is there can be named.
        if name not in {path.name for path in _PAGE.iterdir()}:
            raise HTTPException(404, "The dashboard has no such part.")
        return FileResponse(_PAGE / name, headers=_HEADERS)

    return router


def routes(status: Status, ask: Ask) -> APIRouter:
    """The JSON behind the page, for the service's own callers.

    Args:
        status: of this process.
        ask: asks the database, from the loop of the routes.
    """
    router = APIRouter(prefix="/api/v1", tags=["dashboard"], responses=_REFUSALS)
    reader = Reader(status, ask)

    @router.get("/overview")
    async def overview() -> dict[str, Any]:
        """What waits, runs and has ended, who serves, and how this process is."""
        seen = await _or_503(reader.overview.get())
        return {**seen, "age": reader.overview.age, "service": health_of(status).model_dump()}

    @router.get("/stuck")
    async def stuck() -> dict[str, Any]:
        """What is overdue, why, and what to do about it."""
        found: dict[str, Any] = await _or_503(reader.stuck.get())
        return found

    @router.get("/job", responses={404: {"model": Problem, "description": "There is no such job."}})
    async def job(
        queue: Annotated[str, Query(max_length=200)], key: Annotated[str, Query(max_length=2000)]
    ) -> dict[str, Any]:
        """One job with its attempts; without the columns that its user wrote."""
        try:
            found = await _or_503(reader.ask(lambda store: store.glance(queue, key), PATIENCE))
        except DatabaseError as error:
            # A key that its column can't hold is no job's.
            raise HTTPException(404, _sentence(error)) from None
        if found is None:
            raise HTTPException(404, f"There is no job '{key}' in queue {queue}.")
        return {**found, "commands": _commands(found)}

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events() -> StreamingResponse:
        """The overview, every second, as Server-Sent Events."""
        return StreamingResponse(
            _events(reader, status), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return router


async def _events(reader: Reader, status: Status) -> AsyncIterator[str]:
    while not status.closing:
        service = health_of(status).model_dump()
        try:
            seen = await reader.overview.get()
            yield _event("overview", {**seen, "age": reader.overview.age, "service": service})
        except Unanswered as problem:
            yield _event("problem", {"error": str(problem), "service": service})
        while not status.closing and (rest := reader.overview.rest) > 0:
            # A service that ends waits for nobody who looks; what says so is set in another thread.
            await asyncio.sleep(min(rest, 0.2))
            if rest > SECOND:
                yield ": the next reading is to come\n\n"


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _or_503(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except Unanswered as problem:
        raise HTTPException(503, str(problem), headers={"Retry-After": "2"}) from None


def _words(job: dict[str, Any]) -> dict[str, Any]:
    overdue = explain(job)
    return {
        "begun": overdue.since,
        "because": overdue.because,
        "mend": overdue.mend,
        "command": overdue.command,
    }


def _commands(job: dict[str, Any]) -> list[str]:
    """What people may want to type about a job; nothing where its key can't be typed."""
    names = job["queue"], job["key"]
    delivery = job["delivery"] or {}
    verbs = ["requeue"] if job["state"] in {"failed", "cancelled", "done"} or not delivery else ["cancel"]
    if delivery.get("state") == "broken":
        verbs = ["requeue", "cancel"]
    lines = [command(verb, *names) for verb in verbs]
    return [line for line in lines if line]


def _sentence(error: DatabaseError | DatabaseUnavailable) -> str:
    text = str(error)
    hint = getattr(error, "hint", None)
    return f"{text[:1].upper()}{text[1:]}." + (f" {hint}" if hint else "")
