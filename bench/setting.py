"""Run a durable temporary Postgres, and services in separate processes, for benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import asyncpg
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from listener.database import migrate
from listener.embedded import Postgres
from listener.errors import ListenerError
from listener.kit.sandbox.process import sandboxed

# As durable as a server in production.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}

JOBS = """
create table jobs (
  id uuid primary key default gen_random_uuid(),
  status text not null default 'queued' check (status in ('queued', 'processing', 'completed', 'failed')),
  progress int, error text, run_at timestamptz, created_at timestamptz not null default now(), finished_at timestamptz
)
"""
"""A typical table of a user."""

_LONGEST_REPORT = 200
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    """A report of a handler.

    Attributes:
        moment: nanoseconds of the monotonic clock, which all processes of a machine share.
        pid: the process that sent it.
    """

    word: str
    moment: int
    pid: int


def report(word: str) -> None:
    """Send one word without blanks from a handler to the measuring process, with the time."""
    os.write(sys.__stdout__.fileno(), f"{word} {time.monotonic_ns()} {os.getpid()}\n".encode())  # type: ignore[union-attr]


class Program:
    """A child process, a Python program, that sends reports."""

    def __init__(self, process: Process) -> None:
        self._process = process
        assert process.stdout is not None
        self._lines = BufferedByteReceiveStream(process.stdout)
        self.pid = process.pid

    async def report(self) -> Report:
        """Return the next report.

        Raises:
            ListenerError: the program ended without being stopped.
        """
        try:
            line = await self._lines.receive_until(b"\n", _LONGEST_REPORT)
        except anyio.IncompleteRead:
            raise ListenerError("the measured program has ended; its last output is above") from None
        word, moment, pid = line.decode().split()
        return Report(word, int(moment), int(pid))

    def kill(self) -> None:
        """Kill the process, as a crash would."""
        self._process.kill()

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            with anyio.move_on_after(_STOP_SECONDS, shield=True):
                await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
        with anyio.CancelScope(shield=True):
            await self._process.aclose()


class Setting:
    """A Postgres for one benchmark.

    Attributes:
        server: the Postgres.
        folder: the folder for files of this benchmark.
    """

    def __init__(self, server: Postgres, folder: Path) -> None:
        self.server = server
        self.folder = folder

    async def database(self, name: str, *, attached: bool = True) -> str:
        """Create a database with a table `jobs`, attached as queue `jobs` on request. Return its URL."""
        async with connected(self.server.url) as admin:
            await admin.execute(f"create database {name}")
        url = self.server.database_url(name)
        async with connected(url) as db:
            await migrate.migrate(db)
            await db.execute(JOBS)
            if attached:
                await db.execute("select listener.attach('public.jobs', 'jobs')")
        return url

    @asynccontextmanager
    async def program(
        self, *arguments: str, database: str, environment: Mapping[str, str] = {}
    ) -> AsyncIterator[Program]:
        """Run `python -m …` with default settings until the block ends, or until this process dies."""
        checkout = Path(__file__).parent.parent
        process = await anyio.open_process(
            sandboxed([sys.executable, "-m", *arguments]),
            cwd=self.folder,
            env={
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                "PYTHONPATH": str(checkout),
                "DATABASE_URL": database,
                "HEALTH_CHECK_PORT": "0",
                "LOG_LEVEL": "error",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stderr=None,
        )
        program = Program(process)
        try:
            yield program
        finally:
            await program.stop()

    @asynccontextmanager
    async def service(
        self, spec: str, database: str, environment: Mapping[str, str] = {}
    ) -> AsyncIterator[Program]:
        """Run `listener run SPEC` with default settings until the block ends."""
        async with self.program(
            "listener", "run", spec, database=database, environment=environment
        ) as program:
            yield program


@asynccontextmanager
async def setting(**settings: str) -> AsyncIterator[Setting]:
    """Run a temporary Postgres with durable settings. Further settings have the names of postgresql.conf."""
    with (
        tempfile.TemporaryDirectory(prefix="listener-bench-") as folder,
        Postgres(settings=DURABLE | settings) as server,
    ):
        yield Setting(server, Path(folder))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a plain session whose application name differs from that of the service."""
    connection = await asyncpg.connect(url, server_settings={"application_name": "bench"})
    try:
        yield connection
    finally:
        connection.terminate()


async def wait_for(
    db: asyncpg.Connection, query: str, *, every: float = 0.05, within: float = 120.0
) -> asyncpg.Record:
    """Repeat the query until it returns a row, and return that row.

    Raises:
        TimeoutError: there was no row within that time.
    """
    with anyio.fail_after(within):
        while (row := await db.fetchrow(query)) is None:  # noqa: ASYNC110 - the database sends no event for it
            await anyio.sleep(every)
    return row
