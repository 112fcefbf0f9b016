"""`demo`: show one job from its row to its result, in a room of the reference application."""

from __future__ import annotations

from pathlib import Path

import anyio
import click
from rich.console import Console

from listener import log
from listener.cli.checkout import load
from listener.testing import DemoFailed

FOLDER = ".demo"


@click.command()
@click.argument("room", default="export")
def demo(room: str) -> None:
    """Show one job from its row to its result.

    ROOM is a package of the reference application. The default, export, renders a film.
    """
    rooms = sorted(script.parent.name for script in Path("handlers").glob("*/demo.py"))
    if rooms and room not in rooms:
        raise click.BadParameter(
            f"there is no room {room!r}; the rooms are {', '.join(rooms)}", param_hint="ROOM"
        )
    shown = load(f"handlers.{room}.demo")
    console = Console(highlight=False, soft_wrap=True)
    log.configure("error")
    folder = Path(FOLDER).absolute()
    folder.mkdir(exist_ok=True)
    console.print(f"[bold]{shown.TITLE}[/bold]")
    try:
        result = anyio.run(shown.show, folder, console)
    except (DemoFailed, TimeoutError) as error:
        console.print(f"[red]{room} failed: {error or 'it took too long'}[/red]")
        click.get_current_context().exit(1)
    click.echo(f"{room} completed: {result}")
