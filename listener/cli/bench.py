"""`bench`: run the benchmarks of the checkout."""

from __future__ import annotations

import click

from listener.cli.checkout import load
from listener.cli.common import json_option


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
def bench(names: tuple[str, ...], as_json: bool) -> None:
    """Measure this machine and database.

    Runs all benchmarks of the checkout, or those that you name. Each starts its own Postgres.
    """
    code = load("bench").run(list(names), as_json)
    click.get_current_context().exit(code)
