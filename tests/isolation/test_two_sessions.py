"""Every verb meets a user's transaction on the same row, in both orders: nobody fails, nobody waits long, and the row
and its delivery end as the design's table says.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext, suppress
from string import Template

import asyncpg
import pytest

from tests.support.databases import Connect
from tests.support.table import StoreTable, waits_or_ends

from .verbs import (
    ACTIONS,
    BUDGET,
    VERBS,
    Verb,
    after_user_then_verb,
    after_verb_then_user,
    clear,
    end,
    prepare,
)

SCENES = [(action, True) for action in ACTIONS] + [("cancel", False), ("cascade", False)]


async def run(session: asyncpg.Connection, verb: Verb, statement: str) -> None:
    """Run a verb in its budget; a verb for people may report that a row is locked."""
    started = time.monotonic()
    with suppress(asyncpg.RaiseError) if verb.people else nullcontext():
        await session.execute(statement)
    assert time.monotonic() - started < BUDGET


async def finish(transaction: asyncpg.transaction.Transaction, *, committed: bool) -> None:
    await (transaction.commit() if committed else transaction.rollback())


@pytest.mark.parametrize("name", VERBS)
async def test_the_user_holds_the_row_while_the_verb_runs(
    jobs: StoreTable, connect: Connect, name: str
) -> None:
    user, service = await connect(), await connect()
    for number, (action, committed) in enumerate(SCENES):
        statement, key = await prepare(jobs, VERBS[name], number)

        transaction = user.transaction()
        await transaction.start()
        await user.execute(Template(ACTIONS[action]).substitute(key=key))
        await run(service, VERBS[name], statement)
        await finish(transaction, committed=committed)
        if name == "claim":
            await jobs.become_due()
        await run(service, VERBS[name], statement)

        assert await end(jobs, number) == after_user_then_verb(name, action, committed=committed), (
            action,
            committed,
        )
        await clear(jobs)


@pytest.mark.parametrize("name", VERBS)
async def test_the_user_waits_for_the_verb(jobs: StoreTable, connect: Connect, name: str) -> None:
    user, service = await connect(), await connect()
    for number, (action, committed) in enumerate(SCENES):
        statement, key = await prepare(jobs, VERBS[name], number)

        transaction = service.transaction()
        await transaction.start()
        await service.execute(statement)
        theirs = asyncio.ensure_future(user.execute(Template(ACTIONS[action]).substitute(key=key)))
        await waits_or_ends(jobs.db, theirs)
        await finish(transaction, committed=committed)
        await theirs

        assert await end(jobs, number) == after_verb_then_user(name, action, committed=committed), (
            action,
            committed,
        )
        await clear(jobs)
