"""Behind a transaction-mode pooler nothing may be kept in a session."""

from __future__ import annotations

import asyncio

import pytest

from listener.cli.common import session
from listener.database import migrate
from listener.database.store import Store
from listener.database.transport_postgres import PostgresTransport
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.events.postgres import notification_time
from tests.support.standin.pooler import pooling
from tests.support.table import StoreTable


async def test_jobs_run_through_a_pooler(jobs: StoreTable, database: str) -> None:
    await jobs.add(*range(20))
    async with pooling(database) as url:
        transport = PostgresTransport(url, pooled=True)
        store = Store(transport)
        await store.check_schema()
        claims = await asyncio.gather(*(store.claim(f"w{n}", {"jobs": 5}) for n in range(4)))
        done = [
            {"delivery": job.id, "fence": job.fence, "columns": {"url": "x"}}
            for claim in claims
            for job in claim.jobs
        ]
        answers = await store.settle("complete", done)
        assert [answer.outcome for answer in answers.values()] == ["ok"] * 20
        await transport.close()
    assert await jobs.words() == ["completed"] * 20


async def test_a_refusal_is_told_and_the_next_call_goes_on(database: str) -> None:
    async with pooling(database) as url:
        transport = PostgresTransport(url, pooled=True)
        for _ in range(3):
            with pytest.raises(DatabaseError, match="there is no queue"):
                await Store(transport).requeue("nowhere", ["1"])
        await transport.close()


async def test_a_pooler_breaks_what_is_kept_in_a_session(database: str) -> None:
    """The stand-in is as strict as it says."""
    async with pooling(database) as url:
        transport = PostgresTransport(url)
        with pytest.raises((DatabaseError, DatabaseUnavailable), match="prepared statement"):
            await transport.call("schema_version")
        await transport.close()


async def test_commands_leave_no_prepared_statement_and_no_listener_in_the_pooler(database: str) -> None:
    """A pooler without support for prepared statements keeps them in connections that others use afterwards."""
    async with pooling(database) as url:
        for _ in range(3):
            async with session(url) as connection:
                assert await migrate.migrate(connection) == []
                assert await connection.fetchval("select $1::int", 7) == 7
                assert [row["one"] for row in await connection.fetch("select 1 as one")] == [1]
                row = await connection.fetchrow("select 2 as two")
                assert row is not None
                assert row["two"] == 2
            assert await notification_time(url, 0.2) is None
        async with session(url) as connection:
            for _ in range(4):
                assert await connection.fetch("select name from pg_prepared_statements") == []
                assert await connection.fetch("select * from pg_listening_channels()") == []
