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

LARGE = 10_000  # rows that are read as a whole without anybody noticing


async def check_schema(url: str, *, listens: bool, in_project: bool) -> AsyncIterator[Finding]:
    """Look at the schema, the triggers on attached tables, and the queues that nobody serves.

    Args:
        listens: whether notifications reach the service.
        in_project: whether a Supabase project is configured, whose other services work with the tables, too.
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
        yield doubtful("tables", "no table is attached", "Begin with: listener attach TABLE QUEUE")
    for attachment in facts["attachments"]:
        yield _check_table(attachment)
        for finding in _check_rights(attachment, listens=listens, in_project=in_project):
            yield finding
    for queue in stats["queues"]:
        for finding in check_queue(queue):
            yield finding
    for broken in facts["broken"]:
        text = f"{count(broken['jobs'], 'job')} of {broken['queue']} can't be claimed: {broken['error']}"
        yield doubtful("broken", text, f"Mend the row or table, then: listener requeue {broken['queue']} KEY")


def _check_functions(applied: dict[str, str]) -> Finding:
    changed = [file.name for file in migrate.functions() if applied.get(file.name) != file.checksum]
    if changed:
        return doubtful(
            "schema", f"{count(len(changed), 'function file')} of another version", "Run: listener migrate"
        )
    newest = max(name for name in applied if name.startswith("migrations/"))
    return good("schema", f"up to date ({newest.removeprefix('migrations/')})")


def _check_privileges(exposed: list[str]) -> Finding:
    if exposed:
        roles = ", ".join(exposed)
        mend = (
            f"Run: revoke all on schema listener from {roles}; "
            f"revoke all on all functions in schema listener from {roles};"
        )
        return bad("privileges", f"browsers can call functions of the schema listener as {roles}", mend)
    return good("privileges", "no browser can call the schema listener")


def _check_table(a: dict[str, Any]) -> Finding:
    """How one attached table stands: the first thing that is wrong with it."""
    table, queue, status = a["table"], a["name"], a["status"]
    again = f"listener attach {table} {queue}"
    problems = [
        (
            a["renamed"],
            f"{table} of {queue} is called {a['renamed']} now",
            f"Run: listener attach {a['renamed']} {queue}",
        ),
        (not a["exists"], f"{table} of {queue} is gone", f"Run: listener detach {queue}"),
        (
            not a["owned"],
            f"{table} belongs to a role that listener may not act as",
            "Grant that role to the owner of the schema listener.",
        ),
        (
            a["hidden"],
            f"{table} hides its rows from its owner",
            f"Run: alter table {table} no force row level security;",
        ),
        (
            a["missing"],
            f"{table} has lost {', '.join(a['missing'])}",
            f"Put the columns back, or say the new names: {again} …",
        ),
        (
            a["triggers"],
            f"{', '.join(a['triggers'])} on {table}: its rows are found late",
            f"Run: alter table {table} enable trigger user; or, where one is missing: {again}",
        ),
    ]
    for wrong, text, mend in problems:
        if wrong:
            return bad("table", text, mend)
    if not a["indexed"] and a["rows"] > LARGE:
        mend = f"Run: create index concurrently on {table} ({status});"
        return doubtful("table", f"{table} has {a['rows']:.0f} rows and no index on {status}", mend)
    return good("table", f"{table} is heard as {queue}")


def _check_rights(a: dict[str, Any], *, listens: bool, in_project: bool) -> Iterator[Finding]:
    """Who reaches a table, and who hears of its rows."""
    table, queue = a["table"], a["name"]
    if a["exposed"]:
        mend = (
            f"Run: alter table {table} enable row level security; -- then make policies for those who need it"
        )
        yield bad("policies", f"no policy of {table} is ever asked: row-level security is off", mend)
    unheard = (
        a["wake"] == "realtime" if listens else in_project and a["wake"] == "notify" and a["unpublished"]
    )
    if unheard:
        text = f"{table} announces its rows by {a['wake']} only, which the service does not hear"
        yield doubtful("wake", text, f"Run: listener attach {table} {queue} --wake both")
    if in_project and a["ungranted"]:
        text = f"Realtime and handlers over the REST API see no row of {table}"
        yield doubtful(
            "grants", text, f"Run: grant select, insert, update, delete on {table} to service_role;"
        )
    if in_project and a["unpublished"]:
        text = f"browsers that watch {table} hear nothing of its rows"
        yield doubtful("publication", text, f"Run: alter publication supabase_realtime add table {table};")


def check_queue(queue: dict[str, Any]) -> Iterator[Finding]:
    """How one queue of `stats` stands."""
    name = queue["queue"]
    if queue["paused"]:
        yield doubtful("queue", f"{name} is paused", f"Run: listener resume {name}")
    if not queue["workers"]:
        waiting = f", and {count(queue['waiting'], 'job')} waiting" if queue["waiting"] else ""
        yield doubtful(
            "queue", f"nobody serves {name}{waiting}", "Run: listener run MODULE:APP, with a handler for it"
        )
    if queue["expired"]:
        text = f"the worker of {count(queue['expired'], 'job')} of {name} has gone silent"
        yield doubtful("queue", text, "A live worker rescues them; start one with: listener run MODULE:APP")
    if queue["workers"] and not queue["paused"] and not queue["expired"]:
        yield good("queue", f"{name}: {count(queue['workers'], 'worker')}, {count(queue['slots'], 'slot')}")
