"""Run the command `listener`, and import a command's module only when it is used. Internal."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from listener.errors import ListenerError, single

# Heading -> command -> its module in this package, and its line in `listener --help`.
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Serve": {
        "run": ("run", "Run the service with the handlers of an app."),
        "dev": ("dev", "Run the service with its own Postgres and storage."),
        "demo": ("demo", "Show one job from its row to its result."),
    },
    "Tables": {
        "migrate": ("schema", "Create or update the schema `listener`."),
        "attach": ("schema", "Make the rows of a table jobs of a queue."),
        "detach": ("schema", "Reverse attach; the rows of the table stay as they are."),
        "adopt": ("schema", "Take over rows that another program left in a running word."),
    },
    "Jobs": {
        "queues": ("jobs", "List the queues with their jobs and workers."),
        "jobs": ("jobs", "List jobs, or show one job with its attempts."),
        "submit": ("submit", "Insert a row as a job."),
        "watch": ("watch", "Show live progress of jobs."),
        "requeue": ("control", "Run jobs again from the start."),
        "cancel": ("control", "Cancel unfinished jobs."),
        "pause": ("control", "Start no more jobs of a queue until it is resumed."),
        "resume": ("control", "Resume a paused queue."),
    },
    "Tools": {
        "render": ("render", "Render a project file without a database."),
        "doctor": ("doctor", "Check the set-up and suggest corrections."),
        "bench": ("bench", "Measure this machine and database."),
    },
}


class Commands(click.Group):
    """The group of all commands. It imports their modules, and turns errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which help shows them."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return the command; None for an unknown name."""
        for section in COMMANDS.values():
            if cmd_name in section:
                module = importlib.import_module(f"listener.cli.{section[cmd_name][0]}")
                command: click.Command = getattr(module, cmd_name)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, without importing them."""
        for heading, section in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, about) for name, (_, about) in section.items()], col_spacing=4)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command. Print characters that the terminal cannot encode as question marks."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Every error except those of click becomes one line on standard error and exit code 1."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except Exception as error:
            _explain(error)


class Problem(click.ClickException):
    """An error of a command, for a person."""

    def __init__(self, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        """Write `error: …`, and `hint: …` if there is a hint."""
        click.echo(
            f"{click.style('error:', fg='red', bold=True)} {self.message}", err=True, color=self.show_color
        )
        if self.hint:
            click.echo(f"{click.style('hint:', bold=True)} {self.hint}", err=True, color=self.show_color)


def _explain(error: BaseException) -> NoReturn:
    from listener.log import redact, summary

    error = single(error)
    if os.environ.get("LOG_LEVEL", "").lower() == "debug":
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    if isinstance(error, ListenerError):
        hint = getattr(error, "hint", None)
        raise Problem(redact(str(error)), redact(hint) if hint else None)
    raise Problem(
        redact(summary(error)), "This is a bug. Run the command with LOG_LEVEL=debug to see the traceback."
    )


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "color": False if os.environ.get("NO_COLOR") else None,
    },
    epilog="Settings come from the environment, .env.local and .env. DATABASE_URL is the address of the database.",
)
@click.version_option(package_name="supalistener", prog_name="listener")
def main() -> None:
    """Run the rows of Postgres tables as jobs."""
