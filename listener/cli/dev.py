"""`dev`: run the service with its own Postgres and storage."""

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
    help="Folder of the database and the files.",
)
@click.option(
    "--preset",
    "presets",
    metavar="NAME",
    multiple=True,
    help="Apply a preset first, such as supabase_shim or export_jobs.",
)
def dev(spec: str, data: Path, presets: tuple[str, ...]) -> None:
    """Run the service with its own Postgres and storage.

    The default of MODULE:APP is handlers:app, the reference application of a checkout. The database is in FOLDER/pg,
    and accepts connections from this machine only.
    """
    app = load(spec)
    Settings.load()  # report a wrong value before a database is created
    with Postgres(data / "pg") as server:
        anyio.run(migrate_database, server.url)
        anyio.run(_prepare, server.url, presets)
        settings = Settings.load(database_url=server.url, storage_dir=data / "storage")
        log.configure(settings.log_level)

        def announce(address: str | None) -> None:
            click.secho("\nlistener is running; Ctrl-C stops it and its database", bold=True)
            # Usable on this machine only: the password belongs to the database in this folder.
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
    """Restart the database if it has died. If that fails, the service ends."""
    while True:
        await anyio.sleep(LOOK_EVERY)
        if not server.is_running:
            structlog.get_logger(__name__).warning("Postgres died; restarting it")
            await anyio.to_thread.run_sync(server.start)
