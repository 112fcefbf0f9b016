"""Three questions about one process: how is it, should it be restarted, should it get traffic."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from listener.status import Status
from listener.web.errors import Problem

HUNG_AFTER = 60.0
"""Seconds without a turn of the main loop after which the process counts as hung."""

LOST_AFTER = 30.0
"""Seconds without the database after which the service counts as unhealthy; shorter gaps are reconnects."""

_UNAVAILABLE: dict[int | str, dict[str, object]] = {503: {"model": Problem, "description": "No, and why."}}


class Health(BaseModel):
    """How the process is."""

    status: Literal["healthy", "degraded", "draining", "unhealthy"] = Field(
        description="degraded: it works, but `problems` needs a person; draining: it is shutting down; "
        "unhealthy: it can't run jobs"
    )
    worker_id: str
    active_jobs: int = Field(description="jobs that run now in this process")
    uptime: int = Field(description="seconds")
    problems: list[str] = Field(description="what is wrong, a sentence each")


class Answer(BaseModel):
    """Yes."""

    status: Literal["ok"] = "ok"


def routes(status: Status) -> APIRouter:
    """`/health`, `/livez` and `/readyz`: open to everybody, for they say nothing about jobs or users."""
    router = APIRouter(tags=["health"])

    @router.get("/health", responses={503: {"model": Health, "description": "It can't run jobs."}})
    async def health(response: Response) -> Health:
        """How this process is: 503 while it can't run jobs, 200 otherwise."""
        answer = health_of(status)
        if answer.status == "unhealthy":
            response.status_code = 503
        return answer

    @router.get("/livez", responses=_UNAVAILABLE)
    async def livez() -> Answer:
        """Whether the process works at all. It should be restarted if not; a lost database is no reason."""
        if status.silence > HUNG_AFTER:
            raise HTTPException(503, hung(status))
        return Answer()

    @router.get("/readyz", responses=_UNAVAILABLE)
    async def readyz() -> Answer:
        """Whether the process can take jobs now."""
        if reason := _not_ready(status):
            raise HTTPException(503, reason)
        return Answer()

    return router


def health_of(status: Status) -> Health:
    """How the process is."""
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
    """A sentence on a main loop that does not turn."""
    return f"The main loop has not turned for {status.silence:.0f} s; a handler blocks it."


def _not_ready(status: Status) -> str | None:
    if status.draining:
        return "The service is shutting down and takes no more jobs."
    if not status.connected:
        return f"The database has not answered for {status.disconnected_for:.0f} s."
    if not status.schema_ok:
        return "The listener schema in the database does not fit this version; run `listener migrate`."
    return None
