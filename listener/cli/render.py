"""`render`: render a project file without a database. The export room of the reference application has the command."""

from __future__ import annotations

import click

from listener.cli.checkout import load

render: click.Command = load("handlers.export.cli").render
