"""Checks of the schema `listener`, the attached tables and their queues."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from typing import Any

from listener.cli.common import connected, session
from listener.cli.doctor.finding import Finding, bad, doubtful, good
from listener.cli.show import count
from listener.database import migrate
from listener.errors import DatabaseError, SchemaError

LARGE = 10_000  # rows; smaller tables can be scanned without an index


async def check_schema(url: str, *, listens: bool, in_project: bool) -> AsyncIterator[Finding]:
    """Check the schema, the triggers of attached tables, and the queues.

    Args:
        listens: whether notifications reach the service.
        in_project: whether a Supabase project is configured, whose other services use the tables, too.
    """
    try:
        async with connected(url) as database:
            stats = await database.store.stats() or {"queues": []}
        async with session(url) as connection:
            facts = json.loads(
                await connection.fetchval(
                    files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
                )
            )
    except SchemaError as error:
        yield bad("schema", str(error), "Run: listener migrate")
        return
    except DatabaseError as error:
        yield bad("schema", str(error), "Connect as the role that ran `listener migrate`.")
        return
    yield _check_functions(facts["applied"])
    yield _check_privileges(facts["exposed"])
    if not facts["attachments"]:
        yield doubtful("tables", "no table is attached", "Start with: listener attach TABLE QUEUE")
    for attachment in facts["attachments"]:
        yield _check_table(attachment)
        for finding in _check_rights(attachment, listens=listens, in_project=in_project):
            yield finding
    for queue in stats["queues"]:
        for finding in check_queue(queue):
            yield finding
    for broken in facts["broken"]:
        text = f"{count(broken['jobs'], 'job')} of {broken['queue']} can't be claimed: {broken['error']}"
        yield doubtful(
            "broken", text, f"Correct the row or the table, then run: listener requeue {broken['queue']} KEY"
        )


def _check_functions(applied: dict[str, str]) -> Finding:
    changed = [file.name for file in migrate.functions() if applied.get(file.name) != file.checksum]
    if changed:
        return doubtful(
            "schema",
            f"{count(len(changed), 'outdated function file')}",
            "Run: listener migrate",
        )
    newest = max(name for name in applied if name.startswith("migrations/"))
    return good("schema", f"up to date ({newest.removeprefix('migrations/')})")


def _check_privileges(exposed: list[str]) -> Finding:
    if exposed:
        roles = ", ".join(exposed)
        fix = (
            f"Run: revoke all on schema listener from {roles}; "
            f"revoke all on all functions in schema listener from {roles};"
        )
        return bad("privileges", f"browsers can call functions of the schema listener as {roles}", fix)
    return good("privileges", "no browser can call the schema listener")


def _check_table(a: dict[str, Any]) -> Finding:
    """Report the first problem of an attached table."""
    table, queue, status = a["table"], a["name"], a["status"]
    again = f"listener attach {table} {queue}"
    problems = [
        (
            a["renamed"],
            f"{table} of {queue} is now called {a['renamed']}",
            f"Run: listener attach {a['renamed']} {queue}",
        ),
        (not a["exists"], f"{table} of {queue} does not exist any more", f"Run: listener detach {queue}"),
        (
            not a["owned"],
            f"{table} belongs to a role that the owner of the schema listener may not use",
            "Grant that role to the owner of the schema listener.",
        ),
        (
            a["hidden"],
            f"{table} hides its rows from its owner",
            f"Run: alter table {table} no force row level security;",
        ),
        (
            a["missing"],
            f"{table} has no column {', '.join(a['missing'])}",
            f"Restore the columns, or name the new ones: {again} …",
        ),
        (
            a["triggers"],
            f"{', '.join(a['triggers'])} on {table}, so its rows are found late",
            f"Run: alter table {table} enable trigger user; if one is missing, run: {again}",
        ),
    ]
    for wrong, text, fix in problems:
        if wrong:
            return bad("table", text, fix)
    if not a["indexed"] and a["rows"] > LARGE:
        fix = f"Run: create index concurrently on {table} ({status});"
        return doubtful("table", f"{table} has {a['rows']:.0f} rows and no index on {status}", fix)
    return good("table", f"{table} is attached as {queue}")


def _check_rights(a: dict[str, Any], *, listens: bool, in_project: bool) -> Iterator[Finding]:
    """Report problems with the access to a table and the announcement of its rows."""
    table, queue = a["table"], a["name"]
    if a["exposed"]:
        fix = f"Run: alter table {table} enable row level security; -- then create policies for those who need it"
        yield bad("policies", f"policies of {table} have no effect, because row-level security is off", fix)
    unannounced = (
        a["wake"] == "realtime" if listens else in_project and a["wake"] == "notify" and a["unpublished"]
    )
    if unannounced:
        text = f"{table} announces its rows only by {a['wake']}, which this service does not receive"
        yield doubtful("wake", text, f"Run: listener attach {table} {queue} --wake both")
    if in_project and a["ungranted"]:
        text = f"Realtime, and handlers over the REST API, can't read {table}"
        yield doubtful(
            "grants", text, f"Run: grant select, insert, update, delete on {table} to service_role;"
        )
    if in_project and a["unpublished"]:
        text = f"Realtime does not send changes of {table} to browsers"
        yield doubtful("publication", text, f"Run: alter publication supabase_realtime add table {table};")


def check_queue(queue: dict[str, Any]) -> Iterator[Finding]:
    """Report the state of one queue of the result of `stats`."""
    name = queue["queue"]
    if queue["paused"]:
        yield doubtful("queue", f"{name} is paused", f"Run: listener resume {name}")
    if not queue["workers"]:
        waiting = (
            f", and {count(queue['waiting'], 'job')} {'is' if queue['waiting'] == 1 else 'are'} waiting"
            if queue["waiting"]
            else ""
        )
        yield doubtful(
            "queue",
            f"no worker serves {name}{waiting}",
            "Run: listener run MODULE:APP, with a handler for it",
        )
    if queue["expired"]:
        text = f"{count(queue['expired'], 'job')} of {name} {'has' if queue['expired'] == 1 else 'have'} no heartbeat"
        yield doubtful(
            "queue", text, "A live worker rescues them. To start one, run: listener run MODULE:APP"
        )
    if queue["workers"] and not queue["paused"] and not queue["expired"]:
        yield good("queue", f"{name}: {count(queue['workers'], 'worker')}, {count(queue['slots'], 'slot')}")
