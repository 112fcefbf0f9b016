"""The service on a role that may call its verbs and nothing else."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

import asyncpg
import pytest

from listener import Job, Retry
from listener.database import migrate
from listener.database.store import Store
from listener.metrics import FencedOp
from tests.support.databases import as_role
from tests.support.harness import Table, app_of, serving, until

from .project import Project

pytestmark = pytest.mark.parametrize("template_project", ["older"], indirect=True)

# The session that listens; reconnecting, it looks for what it missed.
CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where usename = 'listener_worker' and application_name = 'listener events'
"""
VERBS = """
select string_agg(distinct p.proname, ' ' order by p.proname) from pg_proc as p
where p.pronamespace = 'listener'::regnamespace and has_function_privilege('listener_worker', p.oid, 'execute')
"""


@pytest.fixture
def worker_url(project: Project) -> str:
    """The URL of the project's database for `listener_worker`."""
    for _ in range(2):
        project.script(migrate.preset("worker_role"))
    project.script("alter role listener_worker password 'secret of the worker'")
    return as_role(project.url, "listener_worker", "secret%20of%20the%20worker")


def test_the_service_runs_end_to_end(project: Project, worker_url: str) -> None:
    async def handle(job: Job) -> dict[str, Any]:
        job.progress(50, "half of it")
        if job.row["kind"] == "flaky" and job.attempt == 1:
            raise Retry("once more", delay=0)
        await job.checkpoint({"paid": True})
        return {"url": f"https://good/{job.row['id']}"}

    async def run() -> None:
        owner, root = await asyncpg.connect(project.url), await asyncpg.connect(project.root_url)
        jobs = await Table(owner).create()
        await jobs.add("before")
        async with serving(app_of(handle), worker_url):
            await jobs.add("after")
            await jobs.add("flaky", kind="flaky")
            # Work that nobody announced is found by this role, too.
            await owner.execute(
                "alter table jobs disable trigger user; insert into jobs (id) values ('missed')"
            )
            await owner.execute("alter table jobs enable trigger user")
            assert len(await root.fetch(CUT)) == 1
            done = "select count(*) = 4 from jobs where status = 'completed' and url = 'https://good/' || id"
            await until(lambda: owner.fetchval(done))
        await owner.close()
        await root.close()

    project.run(run())


def test_it_may_do_nothing_else(project: Project, worker_url: str) -> None:
    project.script(
        "create table jobs (id int primary key, status text check (status in ('new', 'running', 'done', 'failed')))"
    )
    project.script("insert into jobs values (1, 'new'); select listener.attach('jobs', 'jobs')")

    async def refused(statement: str) -> bool:
        worker = await asyncpg.connect(worker_url)
        try:
            await worker.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            return True
        finally:
            await worker.close()
        return False

    for statement in (
        "update jobs set status = 'done'",
        "delete from jobs",
        "select * from jobs",
        "select * from listener.delivery",
        "update listener.queue set paused = true",
        "select listener.cancel('jobs', '{1}')",
        "select listener.attach('jobs', 'other')",
        "select listener.submit('jobs', '{}')",
        "select listener.write_rows(null, '[]')",
        "select listener.take_each('jobs', 1, 'w', '1 s')",
        "select listener.grant_verbs('listener_worker')",
        "select public.listener_claim('w', '{jobs}', '{1}')",
        "create function listener.mine() returns int language sql as 'select 1'",
        "create table public.mine ()",
        "set role service_role",
        "select * from auth.users",
    ):
        assert project.run(refused(statement)), statement


def test_it_may_call_what_the_service_calls(project: Project, worker_url: str) -> None:
    by_the_service = inspect.getsource(Store).partition("# By people")[0]
    called = {*re.findall(r'_call\(\s*"(\w+)"', by_the_service), *get_args(FencedOp)}
    assert set(project.sql(VERBS).split()) - {"glance"} == called  # the former name of job_public


def test_an_upgrade_grants_new_functions_too(project: Project, worker_url: str) -> None:
    before = project.sql(VERBS)
    project.script("update listener.migration set checksum = '' where name not like 'migrations/%'")

    async def upgrade() -> None:
        owner = await asyncpg.connect(project.url)
        assert await migrate.migrate(owner)
        await owner.close()

    project.run(upgrade())
    assert project.sql(VERBS) == before
