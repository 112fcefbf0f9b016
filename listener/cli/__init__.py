"""The command `listener`. Each command's module is imported only when that command is asked for."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from listener.errors import ListenerError, single

# Heading -> command -> its module here, and what `listener --help` says of it.
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Serve": {
        "run": ("run", "Serve the handlers of an app until told to stop."),
        "dev": ("dev", "Serve with everything on board: Postgres, storage, an app."),
        "demo": ("demo", "Show one job from its row to its result."),
    },
    "Tables": {
        "migrate": ("schema", "Bring the schema `listener` up to date."),
        "attach": ("schema", "Make the rows of a table jobs of a queue."),
        "detach": ("schema", "Undo attach; the table's rows stay as they are."),
        "adopt": ("schema", "Take over rows that another worker left stuck."),
    },
    "Jobs": {
        "queues": ("jobs", "List the queues: what waits, what runs, who serves."),
        "jobs": ("jobs", "List jobs, or show one with its attempts."),
        "submit": ("submit", "Insert a row as a job."),
        "watch": ("watch", "Follow jobs with live progress."),
        "requeue": ("control", "Let jobs run again from the start."),
        "cancel": ("control", "End jobs that are not finished."),
        "pause": ("control", "Start no job of a queue until resume."),
        "resume": ("control", "End a pause."),
    },
    "Tools": {
        "render": ("render", "Render a project file, without a database."),
        "doctor": ("doctor", "Check everything, and say how to mend it."),
        "bench": ("bench", "Measure this machine and database."),
    },
}


class Commands(click.Group):
    """The group of all commands: finds their modules, and turns errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they are shown."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module and answer the command; None for an unknown name."""
        for section in COMMANDS.values():
            if cmd_name in section:
                module = importlib.import_module(f"listener.cli.{section[cmd_name][0]}")
                command: click.Command = getattr(module, cmd_name)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by heading, without importing them."""
        for heading, section in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, about) for name, (_, about) in section.items()], col_spacing=4)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, and show what the terminal has no character for as a question mark."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; every error but click's own becomes one line on standard error, for exit code 1."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except Exception as error:
            _explain(error)


class Problem(click.ClickException):
    """What a command failed of, for a person."""

    def __init__(self, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        """Write `error: …`, and `hint: …` where there is one."""
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
    raise Problem(redact(summary(error)), "This should not happen; LOG_LEVEL=debug shows where it did.")


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "color": False if os.environ.get("NO_COLOR") else None,
    },
    epilog="Settings are read from the environment, .env and .env.local; DATABASE_URL names the database.",
)
@click.version_option(package_name="supalistener", prog_name="listener")
def main() -> None:
    """Rows inserted into your own Postgres tables become jobs: heard at once, done once, never stuck."""
