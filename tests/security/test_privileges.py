"""In a Supabase project, with the guides' tables and policies as they are: who may do what, and whom we hinder."""

from __future__ import annotations

from pathlib import Path

import pytest

from listener.database import migrate

from .project import Project

GUIDES = Path(__file__).with_name("guides")

OURS = "(p.pronamespace = 'listener'::regnamespace or p.proname like 'listener\\_%')"
CALLABLE = f"""
select string_agg(format('%s by %s', p.oid::regprocedure, r.rolname), ', ') from pg_proc as p, pg_roles as r
where {OURS} and r.rolname in ('anon', 'authenticated', 'authenticator', 'supabase_auth_admin')
  and has_function_privilege(r.oid, p.oid, 'execute')
"""
# Four functions are inlined into their callers, which have the right path.
CARELESS = f"""
select string_agg(p.oid::regprocedure::text, ', ') from pg_proc as p
where {OURS} and not coalesce('search_path=pg_catalog, pg_temp' = any(p.proconfig), false)
  and (p.prosecdef or p.proname not in ('held', 'outcomes', 'named_attempts', 'locked_attempt'))
"""
READABLE = """
select string_agg(format('%s by %s', c.oid::regclass, r.rolname), ', ') from pg_class as c, pg_roles as r
where c.relnamespace = 'listener'::regnamespace and c.relkind in ('r', 'S')
  and r.rolname in ('anon', 'authenticated', 'service_role', 'authenticator', 'listener_worker')
  and case c.relkind when 'r' then has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate')
      else has_sequence_privilege(r.oid, c.oid, 'usage, select, update') end
"""
INSERT = (
    "insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)"
    " values (gen_random_uuid(), $1, gen_random_uuid(), 'queued', 1920, 1080, 30, 5)"
)
STUDIO = (
    'select listener.attach(\'studio_jobs\', \'studio\', words => \'{"ready": "NEW", "done": "COMPLETE",'
    ' "failed": "FAILED"}\', stages => \'{TRANSCRIBING, ENRICHING, REFINING}\')'
)


@pytest.fixture
def apps(project: Project) -> Project:
    """Both guides' tables, attached, with all presets that go with them."""
    for guide in ("export_jobs", "studio_jobs"):
        project.script((GUIDES / f"{guide}.sql").read_text(encoding="utf-8"))
    project.script("grant select, insert, update on studio_jobs to authenticated, service_role")
    project.script(migrate.preset("export_jobs"))
    project.script(STUDIO)
    return project


def test_nobody_calls_or_reads_what_is_ours(apps: Project) -> None:
    for preset in ("export_jobs_guard", "worker_role"):
        apps.script(migrate.preset(preset))
    assert apps.sql(CALLABLE) is None
    assert apps.sql(CARELESS) is None
    assert apps.sql(READABLE) is None
    # And so it stays when functions are made anew.
    apps.script("update listener.migration set checksum = '' where name not like 'migrations/%'")
    apps.script(migrate.script())
    assert apps.sql(CALLABLE) is None


@pytest.mark.parametrize(
    "preset", ["export_jobs", "studio_jobs", "projects", "clip_jobs", "briefs", "operations"]
)
def test_a_browser_makes_no_trigger_and_empties_no_table_of_a_preset(project: Project, preset: str) -> None:
    for name in ("projects", preset):
        project.script(migrate.preset(name))
    open_tables = project.sql(
        "select string_agg(format('%s by %s', c.oid::regclass, r.rolname), ', ') from pg_class as c, pg_roles as r"
        " where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and r.rolname in ('anon', 'authenticated')"
        " and has_table_privilege(r.oid, c.oid, 'trigger, truncate, references')"
    )
    assert open_tables is None


def test_the_guides_policies_work_unmodified(apps: Project) -> None:
    user, other = apps.sign_up(), apps.sign_up()
    assert apps.run_as("authenticated", user, INSERT, user) == "INSERT 0 1"
    assert apps.run_as("authenticated", other, INSERT, user) == "42501"
    assert apps.run_as("anon", None, INSERT, user) == "42501"
    assert apps.run_as("authenticated", other, "select from export_jobs") == "SELECT 0"
    assert apps.run_as("authenticated", user, "select from export_jobs") == "SELECT 1"
    assert (
        apps.run_as("authenticated", user, "insert into studio_jobs (user_id) values ($1)", user)
        == "INSERT 0 1"
    )
    put = "insert into storage.objects (bucket_id, name) values ($1, $2)"
    for bucket in ("export_data", "exports"):
        assert apps.run_as("authenticated", user, put, bucket, f"{user}/a.json") == "INSERT 0 1"
        assert apps.run_as("authenticated", other, put, bucket, f"{user}/b.json") == "42501"
        assert apps.run_as("anon", None, put, bucket, f"{user}/c.json") == "42501"
    assert apps.run_as("authenticated", other, "select from storage.objects") == "SELECT 0"
    assert apps.sql("select count(*) from listener.delivery") == 2
    apps.script("alter publication supabase_realtime add table export_jobs, studio_jobs")


def test_an_account_can_be_deleted_whatever_became_of_us(apps: Project) -> None:
    """GoTrue deletes users as a role that may do nothing else; the rows go by cascade, and their jobs with them."""
    apps.script(migrate.preset("export_jobs_guard"))
    apps.script("select listener.register('w', 'here', '1', '{\"export\": 5, \"studio\": 5}')")
    users = [apps.sign_up() for _ in range(3)]
    for user in users:
        apps.sql(INSERT, user)
        apps.sql("insert into studio_jobs (user_id) values ($1)", user)
    apps.sql("select listener.claim('w', '{export,studio}', '{2,1}')")

    def delete(user: str) -> None:
        apps.as_root(f"set role supabase_auth_admin; delete from auth.users where id = '{user}'")

    delete(users[0])
    assert apps.sql("select count(*) from listener.delivery") == 4
    # Our part of the database is damaged, or gone except the triggers.
    apps.script("alter table listener.delivery rename column job_key to lost")
    delete(users[1])
    apps.script("drop function listener.capture")
    delete(users[2])
    assert apps.sql("select (select count(*) from export_jobs) + (select count(*) from studio_jobs)") == 0
    user = apps.sign_up()
    assert apps.run_as("authenticated", user, INSERT, user) == "INSERT 0 1"
