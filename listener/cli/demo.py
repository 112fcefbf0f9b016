"""`demo`: one job from its row to its result, in a room of the reference application."""

from __future__ import annotations

import click

from listener.cli.checkout import load


@click.command()
@click.argument("room", default="export")
def demo(room: str) -> None:
    """Show one job from its row to its result.

    ROOM is a part of the reference application; export, when left out, renders a film.
    """
    if not room.isidentifier():
        raise click.BadParameter(f"{room!r} is no room", param_hint="ROOM")
    code = load(f"handlers.{room}.demo").main()
    click.get_current_context().exit(code)
