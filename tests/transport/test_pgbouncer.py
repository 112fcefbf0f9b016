"""The real PgBouncer in both modes: commands may be repeated, and a service chooses its event source and runs jobs."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from listener.cli.common import session
from listener.cli.doctor.server import check_server
from listener.config import Settings
from listener.database import migrate
from listener.embedded.account import Account
from listener.engine.backend import Backend
from listener.events.postgres import notification_time
from tests.support.harness import Switch, serving_with, until
from tests.support.table import StoreTable

pytestmark = pytest.mark.system

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def bouncing(url: str, mode: str) -> Iterator[str]:
    """Run PgBouncer in front of a database. Yields the database's URL through it."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        own_port = free.getsockname()[1]
    text = CONFIGURATION.format(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password or "none",
        own_port=own_port, mode=mode,
    )  # fmt: skip
    # Not in pytest's folder, which the other account may not enter.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pgbouncer.ini")
        file.write_text(text, encoding="utf-8")
        Path(folder).chmod(0o755)
        command = ["/usr/sbin/pgbouncer", "--quiet", str(file)]
        with subprocess.Popen(command, cwd="/", **Account(Path(folder)).options) as process:
            try:
                yield url.replace(f":{parts.port}/", f":{own_port}/")
            finally:
                process.kill()


@pytest.fixture(params=["transaction", "session"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def url(database: str, mode: str) -> AsyncIterator[str]:
    with bouncing(database, mode) as url:
        await until(lambda: answers(url))
        yield url


async def answers(url: str) -> bool:
    with suppress(OSError, asyncpg.PostgresError):
        async with opened(url) as connection:
            await connection.execute("select 1")
            return True
    return False


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        yield connection
    finally:
        connection.terminate()


async def test_commands_may_be_repeated(url: str, mode: str) -> None:
    for _ in range(3):
        async with session(url) as connection:
            assert await migrate.migrate(connection) == []
            assert await connection.fetchval("select $1::int", 7) == 7
        took = await notification_time(url, 5)
        assert (took is None) == (mode == "transaction")
        findings = [one async for one in check_server(url, has_realtime=True)]
        assert [one.text for one in findings if one.check == "server"] == []
        (listen,) = [one for one in findings if one.check == "listen"]
        assert ("session-mode pooler" in (listen.fix or "")) == (mode == "transaction")


async def test_no_listener_stays_in_the_pooler(url: str, database: str) -> None:
    async with opened(database) as direct:
        for _ in range(5):
            await notification_time(url, 0.3)
        async with session(url) as connection:
            assert await connection.fetch("select * from pg_listening_channels()") == []
            assert await connection.fetch("select name from pg_prepared_statements") == []
        assert await direct.fetchval("select pg_notification_queue_usage()") == 0


async def test_a_service_runs_jobs(url: str, mode: str, jobs: StoreTable) -> None:
    backend = Backend(Settings.load(database_url=url))
    await backend.open()
    assert backend.events == (None if mode == "transaction" else "notify")
    await backend.close()
    switch = Switch()
    switch.go.set()
    async with serving_with(switch.app(), database_url=url, poll_interval=0.5):
        await jobs.add(*range(5))
        await until(lambda: len(switch.started) == 5)
