"""Checks of the database server, and of what a session with it can do."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from urllib.parse import urlsplit

import anyio
import asyncpg

from listener.cli.common import session
from listener.cli.doctor.finding import Finding, bad, doubtful, good
from listener.errors import DatabaseError, DatabaseUnavailable

OLDEST, NEWEST = 15, 18
POOLER_PORT = 6543  # Supabase's and others' transaction mode
PATIENCE = 5.0  # seconds to wait for a notification
SKEW = 5.0  # seconds
NOTIFY_USAGE = 0.1  # of 8 GB; once it is full, users' inserts fail


async def check_server(url: str) -> AsyncIterator[Finding]:
    """Look at the server: that it answers, its version, its clock, and that notifications arrive."""
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    try:
        began = time.perf_counter()
        async with session(url) as connection:
            took = time.perf_counter() - began
            facts = json.loads(
                await connection.fetchval(files(__package__).joinpath("server.sql").read_text())
            )
            now = time.time()
            yield good("database", f"{place} as {facts['user']}, connected in {took * 1000:.0f} ms")
            yield _check_version(facts)
            yield _check_clock(now - facts["now"])
            yield _check_notify_usage(facts["notify_usage"])
            yield await _check_listen(connection, url, parts.port)
    except DatabaseUnavailable as error:
        yield bad("database", str(error), _reach(parts.hostname or ""))
    except DatabaseError as error:
        yield bad("server", str(error), "Ask whoever runs the database.")


def _reach(host: str) -> str:
    if host.startswith("db.") and host.endswith(".supabase.co"):
        return (
            "This host has an IPv6 address only: from an IPv4 network take the session pooler's URL, "
            "port 5432, from the project's Connect page."
        )
    return "Check host, port, user and password in DATABASE_URL, and that the server runs."


def _check_version(facts: dict[str, object]) -> Finding:
    version, major = facts["version"], int(str(facts["version_number"])) // 10_000
    if major < OLDEST:
        return bad("version", f"Postgres {version} is too old", f"Upgrade it to {OLDEST} or newer.")
    if major > NEWEST:
        return doubtful("version", f"Postgres {version} is untried", f"Up to {NEWEST} it was tested.")
    return good("version", f"Postgres {version}")


def _check_clock(skew: float) -> Finding:
    if abs(skew) > SKEW:
        text = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the database"
        return doubtful(
            "clock", text, "Leases don't mind, but logs and links that expire do: synchronise it."
        )
    return good("clock", f"within {SKEW:g} s of the database's")


def _check_notify_usage(usage: float) -> Finding:
    if usage > NOTIFY_USAGE:
        mend = "Find the session that listens with an open transaction in pg_stat_activity, and end it."
        return doubtful("notify", f"the queue of notifications is {usage:.0%} full", mend)
    return good("notify", f"the queue of notifications is {usage:.0%} full")


async def _check_listen(connection: asyncpg.Connection, url: str, port: int | None) -> Finding:
    """Notify from a second session: a pooler may well deliver to the one that it came from."""
    channel = f"listener_doctor_{secrets.token_hex(8)}"
    heard = anyio.Event()
    await connection.add_listener(channel, lambda *_: heard.set())
    async with session(url) as other:
        began = time.perf_counter()
        await other.execute("select pg_notify($1, '')", channel)
        with anyio.move_on_after(PATIENCE):
            await heard.wait()
        took = time.perf_counter() - began
    if heard.is_set():
        return good("listen", f"a notification took {took * 1000:.1f} ms")
    return bad(
        "listen",
        f"no notification arrived within {PATIENCE:g} s, so rows are found by the sweep only",
        "This is a transaction-mode pooler: take the session pooler's port 5432 instead."
        if port == POOLER_PORT
        else "Connect directly or through a session-mode pooler, not a transaction-mode one.",
    )
