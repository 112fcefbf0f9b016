"""idle: SQL statements per minute of a service without jobs, counted in the log of the server."""

from __future__ import annotations

import json

import anyio
import asyncpg

from bench.report import Figure, at_most
from bench.setting import Setting, connected, setting, wait_for
from listener import App, Job

QUEUES = ("jobs", *(f"jobs{number}" for number in range(2, 11)))

one, ten = App(), App()


async def nothing(_: Job) -> None:
    """Never called."""


one.handler(QUEUES[0])(nothing)
for queue in QUEUES:
    ten.handler(queue)(nothing)

_LOGGED = {
    "log_statement": "all",
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_rotation_size": "0",
}


async def measure(settle: float = 5.0, seconds: float = 60.0) -> list[Figure]:
    """Measure two services, with one queue and with ten, in the same minute.

    Args:
        settle: seconds that they get to start.
        seconds: to count for; the figures are for a minute.
    """
    async with setting(**_LOGGED) as here, connected(here.server.url) as admin:
        databases = {"one": await _with_queues(here, "one", 1), "ten": await _with_queues(here, "ten", 10)}
        async with (
            here.service("bench.idle:one", databases["one"]),
            here.service("bench.idle:ten", databases["ten"]),
        ):
            for database in databases.values():
                async with connected(database) as db:
                    await wait_for(db, "select from listener.worker")
            await anyio.sleep(settle)
            begin = await _log_size(admin)
            await anyio.sleep(seconds)
            log = await admin.fetchval(
                "select pg_read_file(pg_current_logfile('jsonlog'), $1, $2)",
                begin,
                await _log_size(admin) - begin,
            )
    counts = dict.fromkeys(databases, 0)
    for line in map(json.loads, log.splitlines()):
        # The service uses the application names `listener` and `listener events`.
        if line.get("application_name", "").startswith("listener") and _is_statement(line["message"]):
            counts[line["dbname"]] += 1
    return [
        Figure(
            "idle",
            f"statements a minute, {name} queue{'s' * (name != 'one')}",
            count * 60 / seconds,
            "",
            1,
            at_most(6),
        )
        for name, count in counts.items()
    ]


async def _with_queues(here: Setting, name: str, number: int) -> str:
    database = await here.database(name)
    async with connected(database) as db:
        for queue in QUEUES[1:number]:
            await db.execute(f"create table {queue} (like jobs including all)")
            await db.execute("select listener.attach(to_regclass($1), $2)", queue, queue)
    return database


async def _log_size(admin: asyncpg.Connection) -> int:
    return int(await admin.fetchval("select size from pg_stat_file(pg_current_logfile('jsonlog'))"))


def _is_statement(message: str) -> bool:
    return message.startswith(("statement: ", "execute "))
