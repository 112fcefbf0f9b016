"""The functions run with their owner's rights: nobody else may call them, and none can be led astray."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.table import StoreTable


async def test_nobody_but_the_owner_may_call_a_function(db: asyncpg.Connection, jobs: StoreTable) -> None:
    names = await db.fetch(
        "select r.rolname, p.oid::regprocedure::text as name from pg_proc as p cross join pg_roles as r"
        " where p.pronamespace = 'listener'::regnamespace and r.rolname in ('anon', 'authenticated')"
        " and has_function_privilege(r.oid, p.oid, 'execute')"
    )
    assert [tuple(name) for name in names] == []


async def test_nobody_but_the_owner_may_read_a_table(db: asyncpg.Connection, jobs: StoreTable) -> None:
    assert await db.fetchval(
        "select count(*) from pg_class as c cross join pg_roles as r where c.relnamespace = 'listener'::regnamespace"
        " and c.relkind = 'r' and r.rolname in ('anon', 'authenticated', 'service_role')"
        " and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete')"
    ) == 0  # fmt: skip


async def test_every_function_says_where_its_names_are_looked_up(
    db: asyncpg.Connection, jobs: StoreTable
) -> None:
    """A caller can redirect a function with its owner's rights that does not name pg_temp last in its search_path."""
    careless = await db.fetch(
        "select p.oid::regprocedure::text as name from pg_proc as p where p.pronamespace = 'listener'::regnamespace"
        " and p.prosecdef and not coalesce('search_path=pg_catalog, pg_temp' = any(p.proconfig), false)"
    )
    assert [row["name"] for row in careless] == []


async def test_no_function_with_its_owners_rights_compiles_plans(
    db: asyncpg.Connection, jobs: StoreTable
) -> None:
    """To compile the statements of one heartbeat took 114 ms, with the default settings of Postgres."""
    compiling = await db.fetch(
        "select p.oid::regprocedure::text as name from pg_proc as p where p.pronamespace = 'listener'::regnamespace"
        " and p.prosecdef and not coalesce('jit=off' = any(p.proconfig), false)"
    )
    assert [row["name"] for row in compiling] == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_a_browser_inserts_through_its_policy_and_reaches_nothing_else(
    jobs: StoreTable, db: asyncpg.Connection, role: str
) -> None:
    await db.execute(
        f"grant usage on schema public to {role}; grant select, insert, update on jobs to {role};"
        f"alter table jobs enable row level security;"
        f"create policy mine on jobs to {role} using (url = 'mine') with check (url = 'mine')"
    )
    async with db.transaction():
        await db.execute(f"set local role {role}")
        await jobs.add(1, url="mine")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.transaction():
                await jobs.add(2, url="theirs")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.transaction():
                await db.execute("select listener.cancel('jobs', '{job 1}')")
    job = await jobs.claim_one()
    async with db.transaction():
        await db.execute(f"set local role {role}")
        await jobs.set(1, "cancelled")
    assert (await jobs.settle("complete", job)).outcome == "lost"
