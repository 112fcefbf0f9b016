"""Types of `pg_temp` never replace those of Postgres: a function with its owner's rights would run their checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from listener.database import migrate
from tests.support.databases import as_role

from .project import Project

pytestmark = pytest.mark.parametrize("template_project", ["older"], indirect=True)

# Every type that has a name may be meant by one of our functions.
TYPES = """
select t.typname from pg_catalog.pg_type as t
where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype = 'b' and t.typname !~ '^(_|pg_|reg|xml|txid_snapshot)'
"""
# The check of each domain reports a role other than the session's.
EVIL = """
create function pg_temp.evil() returns pg_catalog.bool language plpgsql as $$
begin
  if current_user <> session_user then
    raise warning 'attack ran as %', current_user;
  end if;
  return true;
end $$
"""
PRESETS = ("export_jobs", "studio_jobs", "projects", "clip_jobs", "briefs", "operations", "worker_role")
# Functions of ours that a role may call, with an argument list of nulls.
REACHED = """
select format('select %s(%s)', p.oid::regproc, (
  select string_agg(format('null::%s', format_type(a, null)), ', ') from unnest(p.proargtypes) as a))
from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where n.nspname in ('listener', 'public') and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
  and has_function_privilege($1, p.oid, 'execute') and has_schema_privilege($1, n.oid, 'usage')
order by 1
"""


class Attacker:
    """A session of a low role whose `pg_temp` has a domain for every type of Postgres."""

    def __init__(self, project: Project, role: str) -> None:
        self.project = project
        self.session: asyncpg.Connection = project.run(asyncpg.connect(as_role(project.url, role)))
        self.heard: list[str] = []
        self.session.add_log_listener(lambda _, message: self.heard.append(str(message)))
        types = [row["typname"] for row in project.run(self.session.fetch(TYPES))]
        assert {"text", "jsonb", "uuid", "timestamptz", "int8"} <= set(types)
        project.run(self.session.execute(EVIL))
        for name in types:
            domain = f'create domain pg_temp."{name}" as pg_catalog."{name}" check (pg_temp.evil())'
            project.run(self.session.execute(domain))

    def attempt(self, statement: str) -> None:
        """Run a statement that may fail, without looking up the types of its result."""
        with suppress(asyncpg.PostgresError):
            self.project.run(self.session.execute(statement))

    def call(self, statement: str, *values: Any) -> Any:
        try:
            return self.project.run(self.session.fetchval(statement, *values))
        except asyncpg.PostgresError:
            return None

    def close(self) -> None:
        self.session.terminate()

    @property
    def escalations(self) -> list[str]:
        return [message for message in self.heard if "attack ran" in message]


@pytest.fixture
def armed(project: Project, roles: None) -> Project:
    for preset in PRESETS:
        project.script(migrate.preset(preset))
    project.script(
        "create table videos (id bigint generated always as identity primary key, path text, note jsonb,"
        " priority int, run_at timestamptz, updated_at timestamptz default now(), progress int, error text,"
        " status text not null default 'queued' check (status in ('queued', 'processing', 'completed', 'failed')));"
        " select listener.attach('videos', 'videos'); select listener.guard('videos');"
        " alter role listener_worker password 'listener_worker';"
        " create role reporter login password 'reporter';"
        " grant insert, select, update, delete, truncate on videos to reporter"
    )
    return project


@pytest.fixture
def attack(armed: Project) -> Iterator[Callable[[str], Attacker]]:
    """A function that opens the session of an attacker."""
    attackers: list[Attacker] = []

    def attack(role: str) -> Attacker:
        attackers.append(Attacker(armed, role))
        return attackers[-1]

    yield attack
    for attacker in attackers:
        attacker.close()


@pytest.fixture
def roles(project: Project) -> Iterator[None]:
    """Drop the role of the test, because roles belong to all databases of the server."""
    yield
    project.as_root("drop owned by reporter cascade; drop role reporter")


def test_a_worker_stays_a_worker(armed: Project, attack: Callable[[str], Attacker]) -> None:
    armed.sql("insert into videos (path) select n::text from generate_series(1, 9) as n")
    attacker = attack("listener_worker")
    call = attacker.call
    call("select listener.register('w', 'h', '1', '{\"videos\": 9}')")
    jobs = json.loads(call("select listener.claim('w', '{videos}', '{8}', '1 ms')"))["jobs"]
    assert len(jobs) == 8
    outcomes: dict[str, dict[str, Any]] = {
        "progress": {"percent": 5, "message": "m"},
        "checkpoint": {"value": {"a": 1}},
        "complete": {"columns": {"path": "x", "note": {"a": 1}}},
        "fail": {"error": "no", "kind": "Fail"},
        "retry": {"error": "again", "delay": 0.1},
        "snooze": {"delay": 60},
        "release": {},
    }
    for job, (verb, item) in zip(jobs, outcomes.items(), strict=False):
        batch = json.dumps([{"delivery": job["delivery"], "fence": job["fence"], **item}])
        assert call(f"select listener.{verb}($1)", batch) is not None, verb
    call("select listener.heartbeat('w', '[]', '1 ms', '0 ms')")
    for verb in ("take('videos', 1, 'w', '1 s')", "rescue()", "reconcile()", "prune()", "stats()", "overview()",
                 "stuck()", "job_public('videos', '1')", "schema_version()", "unregister('w')"):  # fmt: skip
        attacker.attempt(f"select listener.{verb}")
    assert attacker.escalations == []


def test_a_user_of_a_table_stays_a_user(armed: Project, attack: Callable[[str], Attacker]) -> None:
    attacker = attack("reporter")
    for statement in (
        "insert into videos (path) values ('a'), ('b'), ('c')",
        "update videos set path = 'x'",
        "update videos set status = 'failed' where path = 'x'",
        "update videos set status = 'queued' where id = 1",
        "insert into videos (id, path) overriding system value values (1, 'b')"
        " on conflict (id) do update set path = 'c'",
        "delete from videos where id = 1",
        "truncate videos",
    ):
        armed.run(attacker.session.execute(statement))
    assert attacker.escalations == []


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role", "listener_worker"])
def test_no_function_that_a_role_may_call_runs_its_types(
    armed: Project, attack: Callable[[str], Attacker], role: str
) -> None:
    armed.as_root(f"grant {role} to reporter")
    calls = [row[0] for row in armed.fetch(REACHED, role)]
    attacker = attack("reporter")
    for call in calls:
        attacker.attempt(call)
    for statement in (
        "insert into projects (title) values ('mine')",
        "insert into scenes (project_id) select id from projects",
        "insert into exports (project_id) select id from projects",
        "update exports set status = 'cancelled'",
        "insert into clip_jobs (project_id, prompt) select id, 'x' from projects",
        "update clip_jobs set status = 'success', storage_key = 'a'",
        "insert into operations (id) values ('o')",
        "update jobs set status = 'cancelled'",
        "update briefs set status = 'cancelled'",
        "delete from projects",
    ):
        attacker.attempt(statement)
    assert attacker.escalations == []
    assert len(calls) > {"anon": 3, "authenticated": 3, "service_role": 30, "listener_worker": 15}[role]


def test_no_function_looks_into_pg_temp_first_in_its_body(armed: Project) -> None:
    """A path that a body sets names pg_temp at its end, too."""
    wrong = armed.sql(
        "select string_agg(p.oid::regprocedure::text || ' ' || m[1], ', ') from pg_proc as p"
        " cross join lateral regexp_matches(p.prosrc,"
        " 'set_config\\(''search_path'', (.*?), (?:true|false)\\)', 'g') as m"
        " where p.pronamespace in ('listener'::regnamespace, 'public'::regnamespace)"
        " and m[1] !~ '(pg_temp''|trigger_path\\(a\\)|%9\\$L)$'"
    )
    assert wrong is None
