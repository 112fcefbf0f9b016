"""A browser's rights on a guarded table, through the original policies of the apps."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from listener.database import migrate
from tests.support.standin.stack import running

from .project import Project

GUIDES = Path(__file__).with_name("guides")
pytestmark = pytest.mark.parametrize("template_project", ["older"], indirect=True)
REFUSED = "42501"

INSERT = (
    "insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration{more})"
    " values ($1, $2, gen_random_uuid(), '{word}', 1920, 1080, 30, 5{values})"
)
ACL = """
select jsonb_agg(jsonb_build_array(r.rolname, p, has_table_privilege(r.oid, t.oid, p), array(
  select a.attname from pg_attribute as a
  where a.attrelid = t.oid and a.attnum > 0 and has_column_privilege(r.oid, t.oid, a.attnum, p)
)) order by r.rolname, p)::text
from pg_class as t, pg_roles as r, unnest('{SELECT, INSERT, UPDATE, REFERENCES}'::text[]) as p
where t.relname = 'export_jobs' and r.rolname in ('anon', 'authenticated', 'service_role')
"""
TRIGGERS = "select count(*) from pg_trigger where tgrelid = 'export_jobs'::regclass"

Add = Callable[..., str]


@pytest.fixture
def exports(project: Project) -> Project:
    """The export guide's table, policies and grants, attached by the presets and not guarded."""
    project.script((GUIDES / "export_jobs.sql").read_text(encoding="utf-8"))
    for _ in range(2):
        project.script(migrate.preset("export_jobs"))
    return project


@pytest.fixture
def guarded(exports: Project) -> Project:
    for _ in range(2):
        exports.script(migrate.preset("export_jobs_guard"))
    return exports


@pytest.fixture
def user(exports: Project) -> str:
    return exports.sign_up()


def insert(
    project: Project, user: str, word: str = "queued", *, owner: str | None = None, **columns: str
) -> str:
    """A signed-in user inserts a job; answers `INSERT 0 1`, or the state of the refusal."""
    more = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    statement = INSERT.format(more=more, word=word, values=values)
    return project.run_as("authenticated", user, statement, uuid.uuid4(), owner or user)


def a_job(project: Project, user: str, word: str) -> uuid.UUID:
    """A row in a word that the service wrote, or in the ready one."""
    job = uuid.uuid4()
    statement = INSERT.format(more=", download_url", word=word, values=", 'https://good'")
    assert project.run_as("service_role", None, statement, job, user) == "INSERT 0 1"
    return job


def update(project: Project, user: str, job: uuid.UUID, change: str, role: str = "authenticated") -> str:
    return project.run_as(role, user, f"update export_jobs set {change} where id = $1", job)


def test_without_the_guard_a_browser_can_forge_a_result(exports: Project, user: str) -> None:
    """The guide's policies ask whose row it is, and nothing else; attaching changes none of that."""
    job = a_job(exports, user, "queued")
    forged = "status = 'completed', download_url = 'https://evil'"
    assert update(exports, user, job, forged) == "UPDATE 1"
    assert insert(exports, user, "completed", download_url="'https://evil'") == "INSERT 0 1"


def test_a_browser_inserts_ready_rows_only(guarded: Project, user: str) -> None:
    assert insert(guarded, user) == "INSERT 0 1"
    assert insert(guarded, user, progress="0", download_url="null", error_message="null") == "INSERT 0 1"
    assert insert(guarded, user, progress="default") == "INSERT 0 1"
    for word in ("processing", "completed", "failed"):
        assert insert(guarded, user, word) == REFUSED
    for columns in (
        {"progress": "100"},
        {"progress": "null"},
        {"download_url": "'https://evil'"},
        {"error_message": "''"},
        {"completed_at": "now()"},
    ):
        assert insert(guarded, user, **columns) == REFUSED, columns
    assert insert(guarded, user, owner=guarded.sign_up()) == REFUSED
    assert guarded.sql("select count(*) from listener.delivery") == 3


def test_a_browser_cancels_and_retries_and_nothing_else(guarded: Project, user: str) -> None:
    other = guarded.sign_up()
    words = {"queued": {"failed"}, "processing": {"failed"}, "failed": {"queued"}, "completed": set[str]()}
    for word, allowed in words.items():
        for new in words.keys() - {word}:
            expected = "UPDATE 1" if new in allowed else REFUSED
            job = a_job(guarded, user, word)
            assert update(guarded, user, job, f"status = '{new}'") == expected, (word, new)
        job = a_job(guarded, user, word)
        for change in (
            "progress = 100",
            "download_url = 'https://evil'",
            "error_message = 'no'",
            "completed_at = now()",
            "status = 'failed', download_url = 'https://evil'",
            f"user_id = '{other}'",
        ):
            assert update(guarded, user, job, change) == REFUSED, (word, change)
        assert update(guarded, user, job, "width = 640") == "UPDATE 1"
        assert update(guarded, other, job, "width = 1") == "UPDATE 0"
        delete = "delete from export_jobs where id = $1"
        assert guarded.run_as("authenticated", user, delete, job) == "DELETE 1"


def test_upserts_and_writes_of_the_same_value_are_no_way_around(guarded: Project, user: str) -> None:
    job = a_job(guarded, user, "processing")
    upsert = (
        f"insert into export_jobs select * from export_jobs where id = '{job}' on conflict (id) do update"
        " set status = 'completed'"
    )
    assert guarded.run_as("authenticated", user, upsert) == REFUSED
    # Even where the table's owner has granted everything again, the trigger holds.
    guarded.script("grant update on export_jobs to authenticated")
    assert update(guarded, user, job, "status = 'completed'") == REFUSED
    assert update(guarded, user, job, "download_url = 'https://evil'") == REFUSED
    assert update(guarded, user, job, "download_url = 'https://good', width = 2") == "UPDATE 1"


def test_a_browser_reads_why_through_the_api(guarded: Project, user: str) -> None:
    async def patch(job: uuid.UUID, **change: str) -> httpx.Response:
        async with running(guarded.url) as project, httpx.AsyncClient() as client:
            headers = {
                "apikey": project.publishable_key,
                "Authorization": f"Bearer {project.user_token(user)}",
            }
            url = f"{project.url}/rest/v1/export_jobs?id=eq.{job}"
            return await client.patch(url, json=change, headers=headers)

    job = a_job(guarded, user, "queued")
    forged = guarded.run(patch(job, status="completed"))
    assert forged.status_code == 403
    assert forged.json()["message"] == "public.export_jobs: only the service turns 'queued' into 'completed'"
    assert forged.json()["hint"] == (
        "A browser may turn what is not finished into 'failed', and 'failed' into 'queued'."
    )
    assert guarded.run(patch(job, download_url="https://evil")).status_code == 403
    assert guarded.run(patch(job, status="failed")).status_code == 204


def test_the_service_the_owner_and_the_owners_functions_write_as_before(guarded: Project, user: str) -> None:
    job = a_job(guarded, user, "queued")
    done = "status = 'completed', progress = 100, download_url = 'x', completed_at = now()"
    assert update(guarded, user, job, done, role="service_role") == "UPDATE 1"
    guarded.sql(f"update export_jobs set status = 'queued', progress = 0 where id = '{job}'")
    guarded.script(
        "create function again(job uuid) returns int language sql security definer set search_path = ''"
        " as $$ select listener.requeue('export', array[job::text]) $$;"
        "grant execute on function again to authenticated"
    )
    guarded.sql(f"update export_jobs set status = 'completed' where id = '{job}'")
    assert guarded.run_as("authenticated", user, f"select again('{job}')") == "SELECT 1"
    assert guarded.sql("select status from export_jobs") == "queued"


@pytest.mark.parametrize("end", ["select listener.unguard('export')", "select listener.detach('export')"])
def test_it_leaves_everything_as_it_was(exports: Project, end: str) -> None:
    exports.script("grant update (width) on export_jobs to anon")
    before = exports.sql(ACL), exports.sql(TRIGGERS)
    exports.script(migrate.preset("export_jobs_guard"))
    assert exports.sql(ACL) != before[0]
    assert exports.sql(TRIGGERS) == before[1] + 1
    exports.script(end)
    assert exports.sql(ACL) == before[0]
    assert exports.sql("select count(*) from listener.guarded") == 0
    assert exports.sql("select to_regproc('listener.guard_1')") is None
    if "unguard" in end:
        assert exports.sql(end) is False
        assert exports.sql(TRIGGERS) == before[1]


def test_it_can_be_undone_when_the_table_was_renamed_or_is_gone(guarded: Project, user: str) -> None:
    guarded.script("alter table export_jobs rename to exports_of_old")
    assert guarded.sql("select listener.unguard('export')") is True
    guarded.script("alter table exports_of_old rename to export_jobs")
    assert update(guarded, user, a_job(guarded, user, "queued"), "progress = 5") == "UPDATE 1"
    guarded.script(migrate.preset("export_jobs_guard"))
    guarded.script("drop table export_jobs")
    assert guarded.sql("select listener.detach('export')") is not None


def test_it_follows_what_is_attached_anew_and_columns_that_come_later(guarded: Project, user: str) -> None:
    guarded.script("alter table export_jobs add thumbnail_url text, add title text")
    job = a_job(guarded, user, "queued")
    assert update(guarded, user, job, "title = 'mine'") == REFUSED
    guarded.script("select listener.guard('export', '{download_url, thumbnail_url}')")
    assert update(guarded, user, job, "title = 'mine'") == "UPDATE 1"
    assert update(guarded, user, job, "thumbnail_url = 'evil'") == REFUSED
    # An upgrade writes the trigger anew.
    guarded.script(
        "update listener.migration set checksum = '' where name = 'verbs/guard.sql';"
        "create or replace function listener.guard_1() returns trigger language plpgsql as 'begin return new; end'"
    )
    guarded.script(migrate.script())
    assert insert(guarded, user, "completed") == REFUSED
    assert insert(guarded, user, thumbnail_url="'evil'") == REFUSED


def test_the_studios_stages_are_the_services(project: Project) -> None:
    project.script((GUIDES / "studio_jobs.sql").read_text(encoding="utf-8"))
    project.script(
        "grant all on studio_jobs to authenticated, service_role;"
        'select listener.attach(\'studio_jobs\', \'studio\', words => \'{"ready": "NEW", "done": "COMPLETE",'
        ' "failed": "FAILED"}\', stages => \'{TRANSCRIBING, ENRICHING, REFINING}\');'
        "select listener.guard('studio', '{raw_transcript, refined_text, system_prompt_used, processing_time_ms}')"
    )
    user = project.sign_up()
    insert = "insert into studio_jobs (user_id, raw_audio_url{}) values ($1, 'a.mp3'{})"
    assert project.run_as("authenticated", user, insert.format("", ""), user) == "INSERT 0 1"
    for column, value in (("status", "'COMPLETE'"), ("refined_text", "'x'"), ("error_details", "'{}'")):
        assert (
            project.run_as("authenticated", user, insert.format(f", {column}", f", {value}"), user) == REFUSED
        )
    # Null is no word, and no way from one to another.
    project.script("alter table studio_jobs alter status drop not null")
    assert project.run_as("authenticated", user, "update studio_jobs set status = null") == REFUSED
    project.sql("update studio_jobs set status = null")
    assert project.run_as("authenticated", user, "update studio_jobs set status = 'COMPLETE'") == REFUSED
    project.sql("update studio_jobs set status = 'ENRICHING'")
    for word, outcome in (
        ("REFINING", REFUSED),
        ("NEW", REFUSED),
        ("FAILED", "UPDATE 1"),
        ("NEW", "UPDATE 1"),
    ):
        assert (
            project.run_as("authenticated", user, f"update studio_jobs set status = '{word}'") == outcome
        ), word


def test_what_makes_no_sense_is_refused(exports: Project) -> None:
    for statement, sentence in (
        ("select listener.guard('nothing')", "there is no queue 'nothing'"),
        (
            "select listener.guard('export', '{download}')",
            "has no column download that only the service writes",
        ),
        ("select listener.guard('export', '{status}')", "has no column status that only"),
        ("drop table export_jobs; select listener.guard('export')", "the table public.export_jobs is gone"),
    ):
        with pytest.raises(asyncpg.RaiseError, match=sentence):
            exports.script(statement)
