"""`run`: run the service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio
import click

from listener import log
from listener.app import App, load
from listener.cli.common import database_option
from listener.config import Settings
from listener.engine.backend import Backend
from listener.engine.engine import Engine
from listener.errors import DatabaseUnavailable
from listener.kit.configured import configure
from listener.kit.storage.http import routes
from listener.web.connections import raise_descriptor_limit

# uvloop: a job starts after a few turns of the event loop, and these are faster in C.
LOOP = {"use_uvloop": True}


@click.command()
@click.argument("spec", metavar="[MODULE:APP]", required=False)
@click.option("--app", "app_spec", metavar="MODULE:APP", help="The same as the argument.")
@database_option
def run(spec: str | None, app_spec: str | None, database_url: str | None) -> None:
    """Run the service with the handlers of an app.

    MODULE:APP names the App in a module of the working directory, such as worker:app. After SIGTERM or Ctrl-C,
    running jobs have SHUTDOWN_GRACE seconds to finish; the others are released. A second signal does not wait.
    """
    if (spec is None) == (app_spec is None):
        raise click.UsageError("name exactly one app: listener run MODULE:APP")
    settings = Settings.load(**{} if database_url is None else {"database_url": database_url})
    log.configure(settings.log_level)
    anyio.run(serve, load(spec or app_spec or ""), settings, backend_options=LOOP)


async def serve(app: App, settings: Settings, announce: Callable[[str | None], None] | None = None) -> None:
    """Run the service until a signal stops it.

    Args:
        app: the handlers.
        settings: the settings of the service; with STORAGE_DIR it also serves the local storage.
        announce: called when it listens for events, with the address of its HTTP routes, or None without HTTP.
    """
    raise_descriptor_limit()
    backend = Backend(settings)
    with suppress(DatabaseUnavailable):  # the engine waits for it
        await backend.open()
    kit = configure(settings, pooled=backend.pooled)
    local = kit.local_storage

    def started(port: int | None) -> None:
        address = None if port is None else f"http://{_browsable(settings.bind_host)}:{port}"
        if local and not local.base_url:
            local.base_url = address or ""
        if announce:
            announce(address)

    engine = Engine(app, settings, backend=backend, open_routers=[routes(local)] if local else [])
    try:
        await engine.run(task_status=_Started(started))
    finally:
        await kit.close()


class _Started:
    """Passes on the HTTP port that the engine reports at its start."""

    def __init__(self, tell: Callable[[int | None], None]) -> None:
        self._tell = tell

    def started(self, value: int | None = None) -> None:
        self._tell(value)


def _browsable(host: str) -> str:
    """Return the host of a URL with which a browser on this machine reaches the address `host`."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host
