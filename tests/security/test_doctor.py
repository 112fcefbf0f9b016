"""doctor --security: each hole is found by using it, named, and closed by what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from listener.cli import main
from listener.database import migrate

from .project import Project

GUIDES = Path(__file__).with_name("guides")
pytestmark = pytest.mark.parametrize("template_project", ["newer"], indirect=True)


def examine(project: Project) -> tuple[int, list[dict[str, str]]]:
    """The doctor's exit code, and what is not well."""
    arguments = ["doctor", "--security", "--json", "--database-url", project.url]
    result = CliRunner().invoke(main, arguments, prog_name="listener")
    checks = json.loads(result.output)["checks"]
    return result.exit_code, [check for check in checks if check["level"] != "ok"]


def texts(project: Project) -> list[str]:
    return [finding["text"] for finding in examine(project)[1]]


@pytest.fixture
def exports(project: Project) -> Project:
    """As the export guide has it, except its forgery."""
    project.script((GUIDES / "export_jobs.sql").read_text(encoding="utf-8"))
    project.script(migrate.preset("export_jobs"))
    return project


@pytest.fixture
def safe(exports: Project) -> Project:
    exports.script(migrate.preset("export_jobs_guard"))
    return exports


def fix(project: Project, finding: dict[str, Any]) -> None:
    """Do what a finding says."""
    statement = finding["fix"].partition(": ")[2]
    project.script(statement)


def test_the_guides_table_lets_users_forge_and_the_doctors_word_ends_it(exports: Project) -> None:
    exports.sign_up()
    code, findings = examine(exports)
    assert code == 1
    assert [finding["text"] for finding in findings] == [
        "a user can set their own job of public.export_jobs to 'completed' with any download_url",
        "a user can insert a row of public.export_jobs that is already 'completed'",
    ]
    assert findings[0]["fix"] == "Run: select listener.guard('export', '{download_url}');"
    fix(exports, findings[0])
    assert examine(exports) == (0, [])


def test_it_changes_nothing(exports: Project) -> None:
    user = exports.sign_up()
    exports.sql(
        "insert into export_jobs (id, user_id, project_id, status, width, height, fps, duration)"
        " values (gen_random_uuid(), $1, gen_random_uuid(), 'processing', 1, 1, 1, 1)",
        user,
    )
    everything = (
        "select jsonb_build_array((select jsonb_agg(j) from export_jobs as j),"
        " (select jsonb_agg(d) from listener.delivery as d),"
        " (select count(*) from listener.attempt), (select count(*) from auth.users),"
        " (select count(*) from storage.objects))::text"
    )
    before = exports.sql(everything)
    assert examine(exports)[0] == 1
    assert exports.sql(everything) == before


# What is broken -> what is found, and whether its fix alone closes it; all at once.
HOLES = [
    ("create policy see on export_jobs for select using (true)", "can read other users' rows of", True),
    (
        "create policy make on export_jobs for insert with check (true)",
        "can insert other users' rows of",
        True,
    ),
    (
        "create policy drop on export_jobs for delete using (true)",
        "can delete other users' rows of",
        True,
    ),
    (
        "create policy edit on export_jobs for update to authenticated using (true)",
        "any signed-in user can change other users' rows of public.export_jobs",
        True,
    ),
    (
        "grant usage on schema listener to anon; grant execute on function listener.cancel to anon",
        "browsers can call listener.cancel(",
        True,
    ),
    ("grant select on listener.delivery to anon", "browsers can read listener.delivery", True),
    (
        "create table secrets (); grant select on secrets to anon",
        "policies of public.secrets have no effect",
        True,
    ),
    (
        "create function loose() returns int language sql security definer as 'select 1';"
        "grant execute on function loose to anon",
        "loose() runs with its owner's rights and a search_path that does not end with pg_temp",
        True,
    ),
    (
        "create policy drop_box on storage.objects for insert with check (bucket_id = 'exports')",
        "anybody can put files into other users' folders of the bucket exports",
        False,
    ),
    (
        "create policy gallery on storage.objects for select to authenticated using (bucket_id = 'export_data')",
        "any signed-in user can read other users' files of the bucket export_data",
        False,
    ),
    ("update storage.buckets set public = true where id = 'exports'", "the bucket exports is public", True),
]


def test_every_hole_is_found(safe: Project) -> None:
    for hole, _, _ in HOLES:
        safe.script(hole)
    code, findings = examine(safe)
    assert code == 1
    assert len(findings) == len(HOLES)
    for _, expected, mended in HOLES:
        (finding,) = (finding for finding in findings if expected in finding["text"])
        assert finding["fix"]
        if mended:
            fix(safe, finding)
    assert len(examine(safe)[1]) == sum(not mended for _, _, mended in HOLES)


def test_policies_that_nobody_asks(safe: Project) -> None:
    safe.script("grant all on export_jobs to anon; alter table export_jobs disable row level security")
    code, findings = examine(safe)
    found = [finding["text"] for finding in findings]
    assert code == 1
    assert found[0] == "policies of public.export_jobs have no effect, because row-level security is off"
    assert [
        f"anybody can {verb} other users' rows of public.export_jobs"
        for verb in ("read", "change", "delete", "insert")
    ] == found[1:]
    fix(safe, findings[0])
    assert examine(safe) == (0, [])


def test_what_cant_be_tried_is_said(safe: Project, database: str) -> None:
    safe.script("create domain odd as text check (value ~ '^x[0-9]{20}$')")
    safe.script(
        "create table picky (id int primary key, what odd not null,"
        " status text check (status in ('new', 'running', 'done', 'failed')));"
        "alter table picky enable row level security; select listener.attach('picky', 'picky')"
    )
    assert texts(safe) == ["public.picky accepts no generated row, so nothing could be tried"]
    # The service's own role can't act as a browser.
    safe.script(migrate.preset("worker_role"))
    safe.script("alter role listener_worker password 'secret of the worker'")
    safe.url = safe.url.replace("sb_postgres:sb_postgres", "listener_worker:secret%20of%20the%20worker")
    assert examine(safe)[1][0]["check"] == "database"
