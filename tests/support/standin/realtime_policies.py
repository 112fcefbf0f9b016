"""Ask the policies on `realtime.messages` who may read and write a private topic, by rows that are rolled back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    from tests.support.standin.stack import Caller, Stack

WRITE = (
    "insert into realtime.messages (topic, extension, private) values ($1, 'broadcast', true) returning id"
)
READ = "select exists (select from realtime.messages where id = $1)"


async def may_read(stack: Stack, caller: Caller, topic: str) -> bool:
    async with _asking(stack, caller, topic) as connection:
        message = await connection.fetchval(WRITE, topic)
        await connection.execute(f"set local role {caller.role}")
        return bool(await connection.fetchval(READ, message))


async def may_write(stack: Stack, caller: Caller, topic: str) -> bool:
    async with _asking(stack, caller, topic) as connection:
        await connection.execute(f"set local role {caller.role}")
        try:
            await connection.execute(WRITE.removesuffix(" returning id"), topic)
        except asyncpg.InsufficientPrivilegeError:
            return False
        return True


@asynccontextmanager
async def _asking(stack: Stack, caller: Caller, topic: str) -> AsyncIterator[PoolConnectionProxy]:
    async with stack.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(
                "select set_config('request.jwt.claims', $1, true), set_config('realtime.topic', $2, true)",
                json.dumps(dict(caller.claims)),
                topic,
            )
            yield connection
        finally:
            await transaction.rollback()
