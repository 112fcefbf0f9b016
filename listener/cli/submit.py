"""`submit`: insert a row from the command line."""

from __future__ import annotations

from typing import Any

import click

from listener.cli import values
from listener.cli.common import Database, json_option, print_json, with_database
from listener.cli.watch import follow


@click.command()
@click.argument("queue")
@click.argument(
    "columns", metavar="[JSON | COLUMN=TEXT | COLUMN:=JSON]...", nargs=-1, callback=values.columns
)
@click.option("--watch", is_flag=True, help="Show the progress until the job is finished.")
@json_option
@with_database
async def submit(database: Database, queue: str, columns: dict[str, Any], watch: bool, as_json: bool) -> None:
    """Insert a row as a job.

    Columns that you do not give have their defaults; the status is the ready word.

    \b
    listener submit export '{"width": 1280, "height": 720}'
    listener submit export width=1280 height=720 'settings:={"fast": true}'
    """
    key = await database.store.submit(queue, columns)
    if as_json:
        print_json({"queue": queue, "key": key})
    else:
        click.echo(f"submitted {key}")
    if watch:
        await follow(database, queue, [key])
