"""Check the database server and a session with it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from urllib.parse import urlsplit

import asyncpg

from listener.cli.common import session
from listener.cli.doctor.finding import Finding, bad, doubtful, good
from listener.database.postgres import POOLER_PORT
from listener.errors import DatabaseError, DatabaseUnavailable
from listener.events.postgres import notification_time

OLDEST, NEWEST = 15, 18
TIMEOUT_SECONDS = 5.0  # seconds to wait for a notification
SKEW = 5.0  # seconds
NOTIFY_USAGE = 0.1  # of 8 GB; once it is full, users' inserts fail


async def check_server(url: str, *, has_realtime: bool) -> AsyncIterator[Finding]:
    """Check the server: connection, version, clock, and notifications.

    Args:
        has_realtime: whether Realtime can announce jobs instead.
    """
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    try:
        began = time.perf_counter()
        async with session(url) as connection:
            took = time.perf_counter() - began
            facts = json.loads(
                await connection.fetchval(
                    files(__package__).joinpath("server.sql").read_text(encoding="utf-8")
                )
            )
            now = time.time()
            yield good("database", f"{place} as {facts['user']}, connected in {took * 1000:.0f} ms")
            if (tls := _check_tls(connection, parts.hostname or "")) is not None:
                yield tls
            yield _check_version(facts)
            yield _check_clock(now - facts["now"])
            yield _check_notify_usage(facts["notify_usage"])
            yield await _check_listen(url, parts.port, has_realtime=has_realtime)
    except DatabaseUnavailable as error:
        yield bad("database", str(error), _reach(parts.hostname or ""))
    except DatabaseError as error:
        yield bad("server", str(error), "Ask the administrator of the database.")


def _reach(host: str) -> str:
    if host.startswith("db.") and host.endswith(".supabase.co"):
        return (
            "This host has only an IPv6 address. From an IPv4 network, use the URL of the session pooler, "
            "port 5432, from the project's Connect page."
        )
    return "Check host, port, user and password in DATABASE_URL, and whether the server runs."


def _check_version(facts: dict[str, object]) -> Finding:
    version, major = facts["version"], int(str(facts["version_number"])) // 10_000
    if major < OLDEST:
        return bad("version", f"Postgres {version} is too old", f"Upgrade it to {OLDEST} or newer.")
    if major > NEWEST:
        return doubtful(
            "version", f"Postgres {version} is not tested", f"Versions up to {NEWEST} are tested."
        )
    return good("version", f"Postgres {version}")


def _check_clock(skew: float) -> Finding:
    if abs(skew) > SKEW:
        text = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the database"
        return doubtful(
            "clock", text, "Synchronise it. Leases are not affected, but log times and expiring links are."
        )
    return good("clock", f"within {SKEW:g} s of the database's")


def _check_notify_usage(usage: float) -> Finding:
    if usage > NOTIFY_USAGE:
        fix = "Find the session that listens with an open transaction in pg_stat_activity, and end it."
        return doubtful("notify", f"the notification queue is {usage:.0%} full", fix)
    return good("notify", f"the notification queue is {usage:.0%} full")


def _check_tls(connection: asyncpg.Connection, host: str) -> Finding | None:
    """Report whether the connection is encrypted; None if it does not leave the machine or private network."""
    if host in {"", "localhost"} or host.startswith(("/", "127.", "10.", "192.168.", "::1")):
        return None
    transport = getattr(connection, "_transport", None)
    if transport is not None and transport.get_extra_info("ssl_object") is not None:
        return good("tls", "the connection is encrypted")
    fix = "Add ?sslmode=require to DATABASE_URL, or ?sslmode=verify-full&sslrootcert=FILE."
    return doubtful("tls", "the connection is not encrypted", fix)


async def _check_listen(url: str, port: int | None, *, has_realtime: bool) -> Finding:
    """Notify from a second session, because a pooler may deliver to the session that sent it."""
    took = await notification_time(url, TIMEOUT_SECONDS)
    if took is not None:
        return good("listen", f"a notification took {took * 1000:.1f} ms")
    missing = "notifications do not arrive"
    fix = (
        "This is a transaction-mode pooler. Use port 5432, the session pooler, instead."
        if port == POOLER_PORT
        else "Connect directly or through a session-mode pooler, not a transaction-mode one."
    )
    if has_realtime:
        return doubtful("listen", f"{missing}, so Realtime announces rows instead", fix)
    return bad("listen", f"{missing}, so only sweeps find rows", fix)
