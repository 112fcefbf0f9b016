"""Check what browsers may do to jobs by trying it. Every attempt is rolled back."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from typing import Any

import asyncpg

from listener.cli.common import session
from listener.cli.doctor.browser import Browser, copies, insertion, literal, make_row, quoted, undone
from listener.cli.doctor.finding import Finding, bad, doubtful, good
from listener.errors import DatabaseError, DatabaseUnavailable

FORGED = "https://forged.invalid/"

STRANGER = str(uuid.uuid4())
VISITOR = Browser("anon", None, "anybody")
OTHER = Browser("authenticated", STRANGER, "any signed-in user")


async def check_security(url: str) -> AsyncIterator[Finding]:
    """Try what browsers should not be able to do, as the roles that Supabase's API gives them.

    Each attempt is rolled back, but the triggers of the tables do run.
    """
    try:
        async with session(url) as connection:
            facts = json.loads(
                await connection.fetchval(
                    files(__package__).joinpath("security.sql").read_text(encoding="utf-8")
                )
            )
            if reason := _unable(facts):
                yield reason
                return
            for finding in _check_catalog(facts):
                yield finding
            async with undone(connection):
                await connection.execute("set local lock_timeout = '1s'; set local statement_timeout = '10s'")
                async for finding in _check_schema(connection, facts):
                    yield finding
                for table in facts["attachments"]:
                    async for finding in _check_table(connection, table):
                        yield finding
                if facts["has_storage"]:
                    async for finding in _check_storage(connection):
                        yield finding
    except (DatabaseError, DatabaseUnavailable) as error:
        yield bad("database", str(error), "Connect as the role that ran `listener migrate`.")


def _unable(facts: dict[str, Any]) -> Finding | None:
    if not facts["browsers"]:
        return good(
            "browsers", "the roles anon and authenticated do not exist, so no browser reaches this database"
        )
    if missing := [role for role, able in facts["browsers"].items() if not able]:
        fix = f"Connect as the owner of the tables, or run: grant {', '.join(missing)} to {quoted(facts['user'])};"
        return bad(
            "browsers", f"{facts['user']} can't act as {' or '.join(missing)} so nothing could be tried", fix
        )
    return None


def _check_catalog(facts: dict[str, Any]) -> Iterator[Finding]:
    attached = {attachment["table"] for attachment in facts["attachments"]}
    for table in facts["open_tables"]:
        judge = bad if table in attached or table.startswith("storage.") else doubtful
        fix = f"Run: alter table {table} enable row level security; -- then create policies for those who need it"
        yield judge("policies", f"policies of {table} have no effect, because row-level security is off", fix)
    for function in facts["loose_functions"]:
        fix = f"Run: alter function {function} set search_path = pg_catalog, pg_temp; -- and qualify all other names"
        text = (
            f"{function} runs with its owner's rights and a search_path that does not end with pg_temp, "
            "so a caller can redirect it"
        )
        yield doubtful("functions", text, fix)


async def _check_schema(connection: asyncpg.Connection, facts: dict[str, Any]) -> AsyncIterator[Finding]:
    read = sorted(
        {
            table
            for table in facts["tables"]
            for browser in (VISITOR, OTHER)
            if await browser.tries(connection, f"select from {table} limit 1") is not None
        }
    )
    names = facts["open_functions"]
    if names:
        rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
        fix = f"Run: revoke execute on function {', '.join(names)} from public, anon, authenticated;"
        yield bad("functions", f"browsers can call {', '.join(names[:3])}{rest}", fix)
    if read:
        fix = f"Run: revoke all on {', '.join(read)} from public, anon, authenticated;"
        yield bad("schema", f"browsers can read {', '.join(read)}", fix)
    if not names and not read:
        yield good("schema", "browsers can neither call nor read anything of the schema listener")


async def _check_table(connection: asyncpg.Connection, table: dict[str, Any]) -> AsyncIterator[Finding]:
    """Insert a row and attack it."""
    name, tenant = table["table"], table["tenant"]
    async with undone(connection):
        row = await make_row(connection, table)
        if row is None:
            fix = "Insert a row by hand, and run this command again."
            yield doubtful("table", f"{name} accepts no generated row, so nothing could be tried", fix)
            return
        holes = [finding async for finding in _trespass(connection, table, row)]
        owner = Browser("authenticated", str(row[tenant]) if tenant else STRANGER, "a user")
        holes += [finding async for finding in _forge(connection, table, row, owner)]
    for finding in holes:
        yield finding
    if not holes:
        yield good("table", f"{name}: no browser can reach other users' rows or forge the end of a job")


async def _trespass(
    connection: asyncpg.Connection, table: dict[str, Any], row: dict[str, Any]
) -> AsyncIterator[Finding]:
    """Try to reach a row of another user; report only the first kind of client that can."""
    name, tenant, key = table["table"], table["tenant"], str(row[table["key"]])
    where = f"where {quoted(table['key'])}::text = $1"
    status = quoted(table["status"])
    tries = {
        "SELECT": ("read", [(f"select from {name} {where}", key)]),
        "UPDATE": ("change", [(f"update {name} set {status} = {status} {where}", key)]),  # noqa: S608
        "DELETE": ("delete", [(f"delete from {name} {where}", key)]),  # noqa: S608
        "INSERT": ("insert", _insertions(table, row, table["ready"])),
    }
    for command, (verb, statements) in tries.items():
        # Without a tenant column, rows may be meant to be public.
        judge = bad if tenant or command in {"UPDATE", "DELETE"} else doubtful
        whose = "other users' rows" if tenant else "rows"
        for browser in (VISITOR, OTHER):
            if await _any(connection, browser, statements):
                yield judge(
                    "policies", f"{browser.name} can {verb} {whose} of {name}", _policy(table, command)
                )
                break


async def _any(connection: asyncpg.Connection, browser: Browser, statements: list[tuple[str, str]]) -> bool:
    for statement, value in statements:
        if await browser.tries(connection, statement, value):
            return True
    return False


def _insertions(table: dict[str, Any], row: dict[str, Any], word: str, **more: str) -> list[tuple[str, str]]:
    rows = [copy | more for copy in copies(table, row, word)]
    return [(insertion(table["table"], one), json.dumps(one)) for one in rows]


def _policy(table: dict[str, Any], command: str) -> str:
    """Return the SQL that corrects the policies."""
    name, tenant = table["table"], table["tenant"]
    run = "Run" if tenant else "If that is not intended, run"
    types = {column["name"]: column["type"] for column in table["columns"]}
    who = "auth.uid()" if tenant and types[tenant] == "uuid" else "auth.uid()::text"
    mine = f"({who} = {quoted(tenant)})" if tenant else "(false)"
    rules = {
        "SELECT": f"using {mine}",
        "INSERT": f"with check {mine}",
        "DELETE": f"using {mine}",
    }
    both = f"using {mine} with check {mine}"
    if not table["secured"]:
        new = f"create policy {command.lower()}_own on {name} for {command.lower()} to authenticated"
        return f"{run}: alter table {name} enable row level security; {new} {rules.get(command, both)};"
    alters = [
        f"alter policy {quoted(policy['name'])} on {name} {rules.get(policy['command'], both)};"
        for policy in table["policies"]
        if policy["command"] in {command, "ALL"}
    ]
    if not alters:
        return f"No policy of {name} allows it; check whether the role has the attribute bypassrls."
    return f"{run}, for the policy that allows it: {' '.join(alters)}"


async def _forge(
    connection: asyncpg.Connection, table: dict[str, Any], row: dict[str, Any], owner: Browser
) -> AsyncIterator[Finding]:
    """Try to write the result of the client's own job, which only the service should do."""
    name, results = table["table"], table["results"]
    done = f"{quoted(table['status'])} = {literal(table['done'])}"
    link = "".join(f", {quoted(column)} = {literal(FORGED)}" for column in results[:1])
    guard = f", '{{{', '.join(results)}}}'" if results else ""
    fix = f"Run: select listener.guard({literal(table['queue'])}{guard});"
    update = f"update {name} set {done}{link} where {quoted(table['key'])}::text = $1"  # noqa: S608
    if await owner.tries(connection, update, str(row[table["key"]])):
        what = f"{table['done']!r} with any {results[0]}" if results else repr(table["done"])
        yield bad("forgery", f"{owner.name} can set their own job of {name} to {what}", fix)
    forged = _insertions(table, row, table["done"], **dict.fromkeys(results[:1], FORGED))
    if await _any(connection, owner, forged):
        yield bad(
            "forgery", f"{owner.name} can insert a row of {name} that is already {table['done']!r}", fix
        )


async def _check_storage(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    buckets = await connection.fetch(
        "select id, coalesce(public, false) as public from storage.buckets order by id"
    )
    for bucket, public in buckets:
        if public:
            fix = f"If not intended: update storage.buckets set public = false where id = {literal(bucket)};"  # noqa: S608
            yield doubtful(
                "storage", f"the bucket {bucket} is public: anybody who knows a name can read the object", fix
            )
        key = f"{uuid.uuid4()}/doctor.mp4"
        mine = f"bucket_id = {literal(bucket)} and (storage.foldername(name))[1] = auth.uid()::text"
        fix = f"Add this condition to its policies on storage.objects: {mine}."
        put = "insert into storage.objects (bucket_id, name) values ($1, $2)"
        for browser in (VISITOR, OTHER):
            if await browser.tries(connection, put, bucket, key):
                text = f"{browser.name} can put files into other users' folders of the bucket {bucket}"
                yield bad("storage", text, fix)
                break
        async with undone(connection):
            try:
                await connection.execute(put, bucket, key)
            except asyncpg.PostgresError:
                return
            get = "select from storage.objects where bucket_id = $1 and name = $2"
            reader = [
                b.name for b in (VISITOR, OTHER) if not public and await b.tries(connection, get, bucket, key)
            ]
        if reader:
            yield bad("storage", f"{reader[0]} can read other users' files of the bucket {bucket}", fix)
