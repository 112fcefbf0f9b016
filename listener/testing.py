"""A service with everything on board, for demonstrations and for the tests of one's own handlers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx

from listener.app import App
from listener.config import Settings
from listener.database import migrate
from listener.embedded import Postgres
from listener.engine.engine import Engine
from listener.errors import single
from listener.kit import storage, tables
from listener.kit.storage.http import routes
from listener.kit.tables.postgres import PostgresTables


class DemoFailed(Exception):
    """What came out is not what was wanted."""


async def download(url: str, target: Path) -> Path:
    """Fetch a result as a browser would.

    Raises:
        DemoFailed: it can't be had.
    """
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as answer:
        if answer.status_code != httpx.codes.OK:
            raise DemoFailed(f"the download answered {answer.status_code}")
        async with await anyio.open_file(target, "wb") as file:
            async for part in answer.aiter_bytes():
                await file.write(part)
    return target


@dataclass(frozen=True, slots=True)
class Harness:
    """A running service and ways to it.

    Attributes:
        database_url: the address of its database, with the password.
        address: of its HTTP routes, such as `http://127.0.0.1:40123`.
        files: its storage.
        connection: as the owner of the database; yours to use.
    """

    database_url: str
    address: str
    files: storage.LocalStorage
    connection: asyncpg.Connection

    @asynccontextmanager
    async def acting_as(self, user: str) -> AsyncIterator[asyncpg.Connection]:
        """A transaction in which the connection is a browser's: the role `authenticated`, and this user's claims.

        Args:
            user: a uuid; made known in `auth.users` if it is new.
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


@asynccontextmanager
async def running_app(
    app: App, folder: Path, *, presets: Iterable[str] = (), database_url: str | None = None, **settings: Any
) -> AsyncIterator[Harness]:
    """Serve `app` for the length of the block, on a Postgres of its own.

    Args:
        folder: where the storage keeps its files.
        presets: run first, in this order, such as `supabase_shim` and `export_jobs`.
        database_url: of a database that is there already, instead of a Postgres that is thrown away afterwards.
        settings: fields of `Settings` that differ from their defaults.
    """
    if database_url is None:
        with Postgres() as server:
            async with running_app(app, folder, presets=presets, database_url=server.url, **settings) as made:
                yield made
        return
    connection = await asyncpg.connect(database_url)
    try:
        await migrate.migrate(connection)
        for preset in presets:
            await connection.execute(migrate.preset(preset))
        files = storage.LocalStorage(folder, "")
        storage.use(files)
        rows = PostgresTables(database_url)
        tables.use(rows)
        chosen = Settings.load(**{"database_url": database_url, "host": "127.0.0.1", "port": 0, **settings})
        engine = Engine(app, chosen, open_routers=[routes(files)], signals=False)
        async with anyio.create_task_group() as service:
            port = await service.start(engine.run)
            files.base_url = f"http://127.0.0.1:{port}"
            try:
                yield Harness(database_url, files.base_url, files, connection)
            finally:
                # While the loop of the routes still turns, which has connections of its own.
                with anyio.CancelScope(shield=True):
                    await rows.close()
            engine.shut_down(at_once=True)
    except ExceptionGroup as group:
        # The task group is nobody's business: what the block raised leaves as it was.
        raise single(group) from None
    finally:
        await connection.close()
