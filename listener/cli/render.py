"""`render`: render a project file, without a database. The reference application's export has the command."""

from __future__ import annotations

import click

from listener.cli.checkout import load

render: click.Command = load("handlers.export.cli").render
