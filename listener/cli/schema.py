"""`migrate`, `attach`, `detach`, `adopt`: the schema, and which tables are queues."""

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
    "progress": "shows percent",
    "message": "shows what is being done",
    "error": "shows why a job failed",
    "result": "gets what the handler returns",
    "started_at": "gets the time of the start",
    "finished_at": "gets the time of the end",
    "updated_at": "tells when the row was last changed",
    "run_at": "says when a job is due",
    "tenant": "says whose job it is",
    "priority": "says what comes first, the highest",
}


def _columns(command: F) -> F:
    """Give a command an option for each role that a column can have."""
    for role, about in reversed(ROLES.items()):
        option = click.option(f"--{role.replace('_', '-')}", metavar="COLUMN", help=f"Column that {about}.")
        command = option(command)
    return command


@click.command()
@click.option("--print", "as_script", is_flag=True, help="Print one script, to paste into an SQL editor.")
@json_option
@database_option
def migrate(as_script: bool, as_json: bool, database_url: str | None) -> None:
    """Bring the schema `listener` up to date.

    Safe to run at any time, also by several programs at once. It needs no superuser: a role that owns the
    tables to attach and may create a schema.
    """
    if as_script:
        click.echo(migrations.script().encode(), nl=False)  # UTF-8, whatever the terminal speaks
        return
    applied = anyio.run(migrate_database, database_url)
    if as_json:
        print_json({"applied": applied})
    elif applied:
        click.echo(f"applied {count(len(applied), 'file')}: {_summary(applied)}")
    else:
        click.echo("the schema is up to date")


async def migrate_database(given: str | None) -> list[str]:
    """Migrate the database of `given`, or of the settings; answers the names of the files applied."""
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
    "--kind", metavar="COLUMN", help="Column or JSON path, such as metadata->>type, that tells a row's kind."
)
@click.option(
    "--kinds",
    metavar="NAME,…",
    callback=values.names,
    help="The kinds to deliver; each is a queue QUEUE/KIND.",
)
@click.option(
    "--words",
    metavar="STATE=WORD,…",
    callback=values.pairs,
    help="Words for ready, running, done, failed and cancelled.",
)
@click.option(
    "--stages",
    metavar="WORD,…",
    callback=values.names,
    help="Running words in their order, where there are several.",
)
@click.option(
    "--max-attempts", type=click.IntRange(1, 1000), help="Attempts before a job fails; 3 when left out."
)
@click.option(
    "--backoff",
    metavar="DURATION",
    callback=values.duration,
    help="Longest wait before the second attempt, which doubles from there; 2s when left out.",
)
@click.option(
    "--wake",
    type=click.Choice(["notify", "realtime", "both", "none"]),
    help="How the service hears of rows; none leaves them to the sweep.",
)
@click.option(
    "--guard/--no-guard",
    default=None,
    help="Let browsers insert, cancel and retry jobs, but write nothing that the service writes.",
)
@click.option(
    "--guard-columns",
    metavar="NAME,…",
    callback=values.names,
    help="Guard it, and these columns of the handler's, such as download_url.",
)
@click.option("--preset", metavar="NAME", help="Make and attach the table of a known system instead.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
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

    Columns that are not named are found by their usual names; an empty name means none. Adds four triggers
    to the table, and changes nothing else of it. Attaching again changes what was said before.
    """
    if preset is not None:
        if table or queue or any(value is not None for value in (guard, guard_columns, *options.values())):
            raise click.UsageError("--preset brings its own table, queue and options")
        anyio.run(_attach_preset, preset, dry_run, as_json, database_url)
        return
    if table is None or queue is None:
        raise click.UsageError("name a TABLE and a QUEUE, or a --preset")
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
                f"policies are not asked yet: alter table {report['table']} enable row level security;"
            )
    if report["stuck"] and report["attached"]:
        click.echo(f"take the stuck ones over with: listener adopt {report['queue']} --older 10min")


def _life(words: dict[str, str], stages: list[str]) -> str:
    """The words of a job in their order: `queued → processing → completed | failed`."""
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
        verb = "would be applied" if dry_run else "is applied"
        click.echo(f"preset {preset} {verb}; the queues are then: {', '.join(queues) or 'none'}")


@click.command()
@click.argument("queue")
@json_option
@with_database
async def detach(database: Database, queue: str, as_json: bool) -> None:
    """Undo attach; the table's rows stay as they are.

    Unfinished jobs and the history of QUEUE are forgotten. Works also when the table is gone.
    """
    report = await database.store.detach(queue)
    if report is None:
        raise NotFound(f"nothing is attached as '{queue}'; `listener queues` lists what is")
    if as_json:
        print_json(report)
    else:
        click.echo(f"detached {queue}; {count(report['deliveries'], 'unfinished job')} forgotten")


@click.command()
@click.argument("queue")
@values.older_option("Only rows that nobody touched for so long.")
@json_option
@with_database
async def adopt(database: Database, queue: str, older: timedelta, as_json: bool) -> None:
    """Take over rows that another worker left stuck.

    They show a running word, and nobody here drives them.
    """
    adopted = await database.store.adopt(queue, older)
    if as_json:
        print_json({"queue": queue, "adopted": adopted})
    else:
        click.echo(f"adopted {count(adopted, 'job')}")
