"""`migrate`, `attach`, `detach`, `adopt`: the schema, and the tables that are attached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import anyio
import click

from listener.cli import values
from listener.cli.common import (
    Database,
    NotFound,
    connected,
    database_option,
    database_url,
    json_option,
    print_json,
    session,
    with_database,
)
from listener.cli.show import console, count, plain
from listener.database import migrate as migrations

F = TypeVar("F", bound=Callable[..., Any])

ROLES = {
    "key": "names a job",
    "status": "holds the status word",
    "progress": "shows the progress in percent",
    "message": "shows the current step",
    "error": "shows why a job failed",
    "result": "receives what the handler returns",
    "started_at": "receives the time of the start",
    "finished_at": "receives the time of the end",
    "updated_at": "has the time of the last change",
    "run_at": "has the time from which a job is due",
    "tenant": "names the user who owns the job",
    "priority": "has the priority; the highest number comes first",
}


def _columns(command: F) -> F:
    """Add an option for each role that a column can have."""
    for role, about in reversed(ROLES.items()):
        option = click.option(f"--{role.replace('_', '-')}", metavar="COLUMN", help=f"Column that {about}.")
        command = option(command)
    return command


@click.command()
@click.option(
    "--print", "as_script", is_flag=True, help="Print one script that you can paste into an SQL editor."
)
@json_option
@database_option
def migrate(as_script: bool, as_json: bool, database_url: str | None) -> None:
    """Create or update the schema `listener`.

    You can run it at any time, and several programs may run it at once. It needs no superuser, only a role that owns
    the tables to attach and that may create a schema.
    """
    if as_script:
        click.echo(
            migrations.script().encode(), nl=False
        )  # UTF-8, regardless of the encoding of the terminal
        return
    applied = anyio.run(migrate_database, database_url)
    if as_json:
        print_json({"applied": applied})
    elif applied:
        click.echo(f"applied {count(len(applied), 'file')}: {_summary(applied)}")
    else:
        click.echo("the schema is up to date")


async def migrate_database(given: str | None) -> list[str]:
    """Migrate the database `given`, or that of the settings. Return the names of the applied files."""
    async with session(database_url(given)) as connection:
        return await migrations.migrate(connection)


def _summary(applied: list[str]) -> str:
    migrated = [name for name in applied if name.startswith("migrations/")]
    functions = len(applied) - len(migrated)
    return ", ".join([*migrated, *([count(functions, "function file")] if functions else [])])


@click.command()
@click.argument("table", required=False)
@click.argument("queue", required=False)
@_columns
@click.option(
    "--kind",
    metavar="COLUMN",
    help="Column or JSON path that has the kind of a row, such as metadata->>type.",
)
@click.option(
    "--kinds",
    metavar="NAME,…",
    callback=values.names,
    help="The kinds that become jobs; each is a queue QUEUE/KIND.",
)
@click.option(
    "--words",
    metavar="STATE=WORD,…",
    callback=values.pairs,
    help="The status words for ready, running, done, failed and cancelled.",
)
@click.option(
    "--stages",
    metavar="WORD,…",
    callback=values.names,
    help="The running words in their order, if there are several.",
)
@click.option("--max-attempts", type=click.IntRange(1, 1000), help="Attempts before a job fails. Default: 3.")
@click.option(
    "--backoff",
    metavar="DURATION",
    callback=values.duration,
    help="Longest delay before the second attempt; it doubles with each attempt. Default: 2s.",
)
@click.option(
    "--wake",
    type=click.Choice(["notify", "realtime", "both", "none"]),
    help="How new rows wake the service; with none, only sweeps find them.",
)
@click.option(
    "--guard/--no-guard",
    default=None,
    help="Let browsers insert, cancel and retry jobs, but write no column of the service.",
)
@click.option(
    "--guard-columns",
    metavar="NAME,…",
    callback=values.names,
    help="Like --guard, and also protect these columns, such as download_url.",
)
@click.option("--preset", metavar="NAME", help="Create and attach the table of a known system instead.")
@click.option("--dry-run", is_flag=True, help="Report what would change, and change nothing.")
@json_option
@database_option
def attach(
    *,
    table: str | None,
    queue: str | None,
    guard: bool | None,
    guard_columns: list[str] | None,
    preset: str | None,
    dry_run: bool,
    as_json: bool,
    database_url: str | None,
    **options: Any,
) -> None:
    """Make the rows of a table jobs of a queue.

    Columns without an option are found by their usual names; an empty name means none. The command adds four triggers
    to the table and changes nothing else. Attaching again changes the options that you give.
    """
    if preset is not None:
        if table or queue or any(value is not None for value in (guard, guard_columns, *options.values())):
            raise click.UsageError("--preset has its own table, queue and options; leave out the others")
        anyio.run(_attach_preset, preset, dry_run, as_json, database_url)
        return
    if table is None or queue is None:
        raise click.UsageError("give a TABLE and a QUEUE, or a --preset")
    if guard_columns is not None:
        guard = True
    options["dry_run"] = dry_run
    anyio.run(_attach_table, table, queue, options, guard, guard_columns, as_json, database_url)


async def _attach_table(
    table: str,
    queue: str,
    options: dict[str, Any],
    guard: bool | None,
    guard_columns: list[str] | None,
    as_json: bool,
    database_url: str | None,
) -> None:
    async with connected(database_url) as database:
        report = await database.store.attach(table, queue, **options)
        if guard and report["attached"]:
            report["guard"] = await database.store.guard(queue, guard_columns)
        elif guard is False and report["attached"]:
            await database.store.unguard(queue)
    if as_json:
        print_json(report)
    else:
        _show_report(report)


def _show_report(report: dict[str, Any]) -> None:
    verb = "attached" if report["attached"] else "would attach"
    rows = {
        "queues" if len(report["queues"]) > 1 else "queue": ", ".join(report["queues"]),
        "key": report["key"],
        "status": f"{report['status']}: {_life(report['words'], report['stages'])}",
        "columns": ", ".join(
            name if role == name else f"{name} ({role})" for role, name in sorted(report["columns"].items())
        ),
        "found": f"{report['waiting']} waiting, {report['stuck']} stuck in a running word",
    }
    out = console()
    out.print(plain(f"{verb} {report['table']}"), style="bold")
    for label, text in rows.items():
        if text:
            out.print(f"  {label:<8} {plain(text)}", soft_wrap=True)
    if guard := report.get("guard"):
        out.print(f"  guarded  {plain(', '.join(['status', *guard['columns']]))}", soft_wrap=True)
        if not guard["row_security"]:
            click.echo(
                f"policies have no effect yet; run: alter table {report['table']} enable row level security;"
            )
    if report["stuck"] and report["attached"]:
        click.echo(f"to take over the stuck rows, run: listener adopt {report['queue']} --older 10min")


def _life(words: dict[str, str], stages: list[str]) -> str:
    """Return the words of a job in their order: `queued → processing → completed | failed`."""
    ends = " | ".join(words[end] for end in ("done", "failed", "cancelled") if end in words)
    return " → ".join([words["ready"], *(stages or [words["running"]]), ends])


async def _attach_preset(preset: str, dry_run: bool, as_json: bool, given: str | None) -> None:
    async with connected(given):
        text = migrations.preset(preset)
    async with session(database_url(given)) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(text)
        queues = [
            row["name"] for row in await connection.fetch("select name from listener.queue order by name")
        ]
        await (transaction.rollback() if dry_run else transaction.commit())
    if as_json:
        print_json({"preset": preset, "attached": not dry_run, "queues": queues})
    else:
        verb = "would be applied" if dry_run else "applied"
        click.echo(f"preset {preset} {verb}; queues: {', '.join(queues) or 'none'}")


@click.command()
@click.argument("queue")
@json_option
@with_database
async def detach(database: Database, queue: str, as_json: bool) -> None:
    """Reverse attach; the rows of the table stay as they are.

    The deliveries and the history of QUEUE are deleted. This also works if the table does not exist any more.
    """
    report = await database.store.detach(queue)
    if report is None:
        raise NotFound(f"no table is attached as '{queue}'; `listener queues` lists the queues")
    if as_json:
        print_json(report)
    else:
        click.echo(f"detached {queue}; {count(report['deliveries'], 'unfinished job')} dropped")


@click.command()
@click.argument("queue")
@values.older_option("Only rows that have not changed for this long.")
@json_option
@with_database
async def adopt(database: Database, queue: str, older: timedelta, as_json: bool) -> None:
    """Take over rows that another program left in a running word.

    Stop that program first. The rows become jobs of this service.
    """
    adopted = await database.store.adopt(queue, older)
    if as_json:
        print_json({"queue": queue, "adopted": adopted})
    else:
        click.echo(f"adopted {count(adopted, 'job')}")
