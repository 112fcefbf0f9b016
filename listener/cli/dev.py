"""`dev`: the service with everything that it needs on board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import click
import structlog

from listener import log
from listener.app import App, load
from listener.cli.common import session
from listener.cli.run import LOOP, serve
from listener.cli.schema import migrate_database
from listener.config import Settings
from listener.database import migrate as migrations
from listener.embedded import Postgres

LOOK_EVERY = 0.5  # seconds


@click.command()
@click.argument("spec", metavar="[MODULE:APP]", default="handlers:app")
@click.option(
    "--data",
    metavar="FOLDER",
    default=".listener",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the database and the files are kept.",
)
@click.option(
    "--preset",
    "presets",
    metavar="NAME",
    multiple=True,
    help="Run a preset first, such as supabase_shim or export_jobs.",
)
def dev(spec: str, data: Path, presets: tuple[str, ...]) -> None:
    """Serve with everything on board: Postgres, storage, an app.

    MODULE:APP is handlers:app, the reference application of a checkout, when left out. The database is kept
    in FOLDER/pg, and listens on this machine only.
    """
    app = load(spec)
    Settings.load()  # a wrong value is to be said before a database is made
    with Postgres(data / "pg") as server:
        anyio.run(migrate_database, server.url)
        anyio.run(_prepare, server.url, presets)
        settings = Settings.load(database_url=server.url, storage_dir=data / "storage")
        log.configure(settings.log_level)

        def announce(address: str | None) -> None:
            click.secho("\nlistener is up; Ctrl-C ends it, and its database with it", bold=True)
            # Of use on this machine only: the password is that of this folder's database.
            click.echo(f"  export DATABASE_URL={server.url}")
            places = {"dashboard": "/dashboard", "health": "/health", "metrics": "/metrics", "API": "/docs"}
            for about, path in places.items():
                if address:
                    click.echo(f"  {about:<9} {address}{path}")
            click.echo("")

        anyio.run(_serve, app, settings, announce, server, backend_options=LOOP)


async def _prepare(url: str, presets: tuple[str, ...]) -> None:
    async with session(url) as connection:
        for preset in presets:
            await connection.execute(migrations.preset(preset))


async def _serve(
    app: App, settings: Settings, announce: Callable[[str | None], None], server: Postgres
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_keep_alive, server)
        await serve(app, settings, announce)
        tasks.cancel_scope.cancel()


async def _keep_alive(server: Postgres) -> None:
    """Start the database again when it has died; a start that fails ends the service."""
    while True:
        await anyio.sleep(LOOK_EVERY)
        if not server.is_running:
            structlog.get_logger(__name__).warning("Postgres has died; it is started again")
            await anyio.to_thread.run_sync(server.start)
