"""A database with the preset on board, and briefs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from listener.database import migrate
from tests.support.processes import Serve, serving

USER = "6f1c0000-0000-4000-8000-000000000001"


class Briefs:
    """Create, claim and end briefs as the owner of the tables.

    Args:
        db: a connection; yours to use.
    """

    def __init__(self, db: asyncpg.Connection) -> None:
        self.db = db

    async def create(
        self, media_type: str = "text", *, steps: list[str] | None = None, user: str = USER
    ) -> str:
        """Create a brief with all its steps. Returns its id."""
        await self.db.execute("insert into auth.users (id) values ($1) on conflict do nothing", user)
        made = await self.db.fetchval(
            "select create_brief_with_job($1, 'A brief', query => 'on bees', media_type => $2,"
            " use_pipeline => true, steps => $3)",
            user,
            media_type,
            steps,
        )
        return str(json.loads(made)["brief"]["id"])

    async def brief(self, id: str) -> asyncpg.Record:  # noqa: A002
        row = await self.db.fetchrow("select * from briefs where id = $1", id)
        assert row is not None
        return row

    async def steps(self, id: str) -> list[tuple[str, str]]:  # noqa: A002
        """(type, status) of the jobs of a brief, in their order."""
        rows = await self.db.fetch("select type, status from jobs where brief_id = $1 order by step", id)
        return [(row["type"], row["status"]) for row in rows]

    async def claim(self, worker: str = "old", types: list[str] | None = None) -> Any:
        """One job by `claim_job`, or None."""
        return await self.db.fetchrow("select * from claim_job($1, $2)", worker, types)

    async def complete(self, job: Any, result: object = None) -> Any:
        return await self.db.fetchrow("select * from complete_job($1, $2)", job, json.dumps(result))

    async def fail(self, job: Any, error: str = "no") -> Any:
        return await self.db.fetchrow("select * from fail_job($1, $2)", job, error)


@pytest.fixture
async def briefs(db: asyncpg.Connection) -> Briefs:
    for preset in ("supabase_shim", "briefs", "briefs"):
        await db.execute(migrate.preset(preset))
    return Briefs(db)


@pytest.fixture
def stranger() -> str:
    return str(uuid4())


@pytest.fixture
def serve(database: str, tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a service as a separate process; all of them end with the test."""
    environment = {
        "DATABASE_URL": database,
        "ENABLE_HEALTH_CHECK": "false",
        "LEASE": "1.2",
        "HEARTBEAT": "0.3",
    }
    with serving(tmp_path, "tests.briefs.service", **environment) as start:
        yield start
