"""The health routes of one process: its state, liveness and readiness."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field

from listener.status import Status
from listener.web.errors import Problem
from listener.web.identity import is_service

HUNG_AFTER = 60.0
"""Seconds without an iteration of the main loop after which the process counts as hung."""

LOST_AFTER = 30.0
"""Seconds without the database after which the service is unhealthy; shorter gaps are reconnects."""

_WHO_SEES = "send the service's API_TOKEN to read them."
_UNAVAILABLE: dict[int | str, dict[str, object]] = {
    503: {"model": Problem, "description": "No, with the reason."}
}


class Health(BaseModel):
    """The state of the process."""

    status: Literal["healthy", "degraded", "draining", "unhealthy"] = Field(
        description="degraded: it works, but somebody should look at `problems`; draining: it is shutting down; "
        "unhealthy: it can't run jobs"
    )
    worker_id: str
    active_jobs: int = Field(description="jobs that run now in this process")
    uptime: int = Field(description="seconds")
    problems: list[str] = Field(
        description="one sentence for each problem; only their number for callers without the service's rights"
    )


class Answer(BaseModel):
    """The positive response."""

    status: Literal["ok"] = "ok"


def routes(status: Status) -> APIRouter:
    """Return the routes `/health`, `/livez` and `/readyz`: open to all, because they show no jobs or users."""
    router = APIRouter(tags=["health"])

    @router.get("/health", responses={503: {"model": Health, "description": "It can't run jobs."}})
    async def health(request: Request, response: Response) -> Health:
        """Return the state of this process, with status 503 if it can't run jobs."""
        answer = health_of(status)
        if status.problems and not await is_service(request):
            # They name tables, and contain errors of the database.
            own = answer.problems[len(status.problems) :]
            answer.problems = [f"{len(status.problems)} problems; {_WHO_SEES}", *own]
        if answer.status == "unhealthy":
            response.status_code = 503
        return answer

    @router.get("/livez", responses=_UNAVAILABLE)
    async def livez() -> Answer:
        """Respond with 503 if the process hangs and should be restarted. A lost database is not a reason."""
        if status.silence > HUNG_AFTER:
            raise HTTPException(503, hung(status))
        return Answer()

    @router.get("/readyz", responses=_UNAVAILABLE)
    async def readyz() -> Answer:
        """Respond with 503 if the process can't claim jobs now."""
        if reason := _not_ready(status):
            raise HTTPException(503, reason)
        return Answer()

    return router


def health_of(status: Status) -> Health:
    """Return the state of the process."""
    unhealthy = status.silence > HUNG_AFTER or status.disconnected_for > LOST_AFTER
    problems = list(status.problems)
    if status.silence > HUNG_AFTER:
        problems.append(hung(status))
    if not status.draining and (reason := _not_ready(status)):
        problems.append(reason)
    if unhealthy:
        word: Literal["healthy", "degraded", "draining", "unhealthy"] = "unhealthy"
    elif status.draining:
        word = "draining"
    else:
        word = "degraded" if problems else "healthy"
    return Health(
        status=word,
        worker_id=status.worker_id,
        active_jobs=status.active_jobs(),
        uptime=int(status.uptime),
        problems=problems,
    )


def hung(status: Status) -> str:
    """Return a sentence about a main loop that hangs."""
    return f"The main loop has been blocked for {status.silence:.0f} s, most likely by a handler."


def _not_ready(status: Status) -> str | None:
    if status.draining:
        return "The service is shutting down and claims no more jobs."
    if not status.connected:
        return f"The database has not responded for {status.disconnected_for:.0f} s."
    if not status.schema_ok:
        return "The listener schema in the database does not fit this version; run `listener migrate`."
    return None
