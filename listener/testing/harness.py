"""Run an app in this process, on a separate database and with a local storage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncpg

from listener.app import App
from listener.config import Settings
from listener.database import migrate
from listener.database.store import Store
from listener.database.transport_postgres import PostgresTransport
from listener.embedded import Postgres
from listener.engine.engine import Engine
from listener.errors import single
from listener.jsonable import jsonable
from listener.kit.configured import configure
from listener.kit.storage import LocalStorage
from listener.kit.storage.http import routes
from listener.testing._tracebacks import Tracebacks
from listener.testing.records import UNFINISHED, JobFailed, JobRecord

POLL_INTERVAL = 0.01  # seconds between two looks at a job
MAKE_DUE = """
update listener.delivery as d set run_at = clock_timestamp() from listener.queue as q
where q.id = d.queue and q.name = $1 and d.job_key = $2 and d.state = 'scheduled' and d.run_at > clock_timestamp()
"""


class Harness:
    """A running service, and the means to give it jobs and to look at them.

    Attributes:
        database_url: the URL of its database, with the password.
        address: the address of its HTTP routes, such as `http://127.0.0.1:40123`.
        files: its storage.
        connection: a connection of the database's owner, free for your statements.
    """

    def __init__(
        self,
        database_url: str,
        address: str,
        files: LocalStorage,
        connection: asyncpg.Connection,
        transport: PostgresTransport,
        wake: Callable[[str], None],
        tracebacks: Tracebacks,
    ) -> None:
        self.database_url = database_url
        self.address = address
        self.files = files
        self.connection = connection
        self._transport = transport
        self._store = Store(transport)
        self._wake = wake
        self._tracebacks = tracebacks

    async def run(self, queue: str, /, *, timeout: float = 30.0, **columns: Any) -> JobRecord:  # noqa: ASYNC109
        """Insert a row, wait until its job has ended, and make sure that it completed.

        Args:
            queue: the queue's name.
            timeout: seconds that the job may take, all attempts together.
            columns: values of the row, as for `submit`.

        Returns:
            The completed job.

        Raises:
            JobFailed: the job ended otherwise.
            TimeoutError: the job did not end in time.
        """
        job = await self.ended(queue, await self.submit(queue, **columns), timeout=timeout)
        if job.state != "completed":
            traceback = self._tracebacks.last(queue, job.key)
            raise JobFailed("\n".join(filter(None, [str(job), traceback])))
        return job

    async def submit(self, queue: str, /, **columns: Any) -> str:
        """Insert a row in the ready word into the queue's table.

        Args:
            queue: the queue's name.
            columns: values by column; dates, UUIDs and dataclasses are converted, other values are JSON types.
                Columns that are not given take their defaults.

        Returns:
            The row's key, as text.

        Raises:
            DatabaseError: the database refused the row, or there is no such queue.
        """
        return await self._store.submit(queue, jsonable(columns))

    async def job(self, queue: str, key: object, /) -> JobRecord:
        """Return a job as it is now.

        Raises:
            LookupError: the table has no row with this key, or the row belongs to another queue.
        """
        found = await self._store.job(queue, str(key))
        if found is None:
            raise LookupError(f"queue {queue} has no row with the key {key}")
        return JobRecord.of(found)

    async def ended(
        self,
        queue: str,
        key: object,
        /,
        *,
        timeout: float = 30.0,  # noqa: ASYNC109
        skip_delays: bool = True,
    ) -> JobRecord:
        """Wait until a job has completed, failed, or was cancelled, or until its delivery is broken.

        Args:
            queue: the queue's name.
            key: the row's key.
            timeout: seconds to wait.
            skip_delays: run scheduled jobs at once, so that the test does not wait for backoffs and snoozes.

        Returns:
            The job at its end.

        Raises:
            TimeoutError: the job did not end in time; the text has the state of each unfinished job.
            LookupError: as for `job`.
        """
        with anyio.move_on_after(timeout):
            while (job := await self.job(queue, key)).state in UNFINISHED:
                if skip_delays and job.state == "scheduled":
                    await self._make_due(queue, job.key)
                await anyio.sleep(POLL_INTERVAL)
            return job
        raise TimeoutError(await self._unfinished(queue, str(key), timeout))

    @asynccontextmanager
    async def acting_as(self, user: str) -> AsyncIterator[asyncpg.Connection]:
        """Open a transaction with the rights of a signed-in user of Supabase: the role `authenticated`, and their id.

        The preset `supabase_shim` has the role and the table `auth.users`.

        Args:
            user: the user's id, a UUID; added to `auth.users` if it is new.
        """
        await self.connection.execute(
            "insert into auth.users (id, email) values ($1, $2) on conflict do nothing",
            user,
            f"{user}@example.com",
        )
        async with self.connection.transaction():
            claims = json.dumps({"sub": user, "role": "authenticated"})
            await self.connection.execute("select set_config('request.jwt.claims', $1, true)", claims)
            await self.connection.execute("set local role authenticated")
            yield self.connection

    async def _make_due(self, queue: str, key: str) -> None:
        await self._transport.fetchval(MAKE_DUE, queue, key)
        self._wake(queue)

    async def _unfinished(self, queue: str, key: str, seconds: float) -> str:
        lines = [f"job {key} of queue {queue} has not ended in {seconds:g} s; unfinished jobs:"]
        for one in await self._store.jobs():
            lines.append(str(await self.job(one["queue"], one["key"])))
            lines += filter(None, [self._tracebacks.last(one["queue"], one["key"])])
        return "\n".join(lines)


@asynccontextmanager
async def running_app(
    app: App,
    folder: Path | None = None,
    *,
    presets: Iterable[str] = (),
    sql: str = "",
    database_url: str | None = None,
    **settings: Any,
) -> AsyncIterator[Harness]:
    """Run an app for the length of the block.

    The schema `listener` is migrated first. Variables of the environment and `.env` files are ignored.

    Args:
        app: the handlers.
        folder: where the local storage keeps its files; None for a temporary folder.
        presets: presets to run, in this order, such as `supabase_shim` and `export_jobs`.
        sql: statements to run after them: the tables, and the calls of `listener.attach`.
        database_url: an existing database; None starts a Postgres that is removed after the block.
        settings: fields of `listener.kit.settings.Settings` that differ from their defaults; durations in seconds.

    Raises:
        ConfigError: a handler does not fit its queue, or a setting is malformed.
        EmbeddedError: no Postgres is installed; the text says how to install it.
    """
    with _temporary(folder) as place, _server(database_url) as url:
        connection = await asyncpg.connect(url)
        try:
            await migrate.migrate(connection)
            for script in filter(None, [*map(migrate.preset, presets), sql]):
                await connection.execute(script)
            defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
            ours = {"database_url": url, "storage_dir": place, "host": "127.0.0.1", "port": 0}
            async with _serving(app, Settings.load(**defaults | ours | settings), url, connection) as harness:
                yield harness
        finally:
            await connection.close()


@asynccontextmanager
async def _serving(
    app: App, settings: Settings, url: str, connection: asyncpg.Connection
) -> AsyncIterator[Harness]:
    kit = configure(settings, pooled=False)
    files = kit.local_storage
    assert files is not None  # noqa: S101 - running_app sets storage_dir
    tracebacks = Tracebacks()
    engine = Engine(tracebacks.recorded(app), settings, open_routers=[routes(files)], signals=False)
    transport = PostgresTransport(url, connections=2)

    def wake(queue: str) -> None:
        engine.dispatcher.wake(queue, "sweep")

    try:
        async with anyio.create_task_group() as service:
            port = await service.start(engine.run)
            files.base_url = f"http://127.0.0.1:{port}"
            try:
                yield Harness(url, files.base_url, files, connection, transport, wake, tracebacks)
            finally:
                # Before the loop of the HTTP routes ends, because it has connections too.
                with anyio.CancelScope(shield=True):
                    await kit.close()
            engine.shut_down(at_once=True)
    except ExceptionGroup as group:
        # The task group is an implementation detail: raise what the block or the service raised.
        raise single(group) from None
    finally:
        with anyio.CancelScope(shield=True):
            await transport.close()


@contextmanager
def _temporary(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="listener-storage-") as name:
        yield Path(name)


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with Postgres() as server:
        yield server.url
