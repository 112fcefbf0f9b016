"""doctor on a project: each test breaks one thing, and the report names it and the fix."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from click.testing import CliRunner

from listener.cli import main
from tests.support.standin.pooler import pooling
from tests.support.standin.stack import Stack

# check -> (level, text, fix)
Report = dict[str, tuple[str, str, str | None]]
Examine = Callable[..., Awaitable[tuple[int, Report]]]


@pytest.fixture
def examine(project: Stack, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Run the doctor with these settings; return its exit code and the worst of each check."""

    async def run(**settings: str) -> tuple[int, Report]:
        given = {"SUPABASE_URL": project.url, "SUPABASE_SERVICE_KEY": project.secret_key} | settings
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        result = await asyncio.to_thread(CliRunner().invoke, main, ["doctor", "--json"])
        assert not any(
            secret and secret in result.output for secret in (given["SUPABASE_SERVICE_KEY"], "app:app")
        )
        report: Report = {}
        for one in json.loads(result.output)["checks"]:
            if one["level"] != "ok" or one["check"] not in report:
                report[one["check"]] = (one["level"], one["text"], one["fix"])
        return result.exit_code, report

    return run


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.cli.doctor.server.TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr("listener.cli.doctor.supabase.TIMEOUT_SECONDS", 1.0)


async def test_a_project_by_its_address_and_key_alone(examine: Examine, owner: asyncpg.Connection) -> None:
    code, report = await examine()
    assert code == 0
    assert report["key"][:2] == ("ok", "a secret key")
    assert report["rest"][1].startswith("a verb took ")
    assert report["realtime"][1].startswith("a message took ")
    assert report["storage"][1].startswith(
        "export_data, exports; an object of export_data was stored, read and "
    )
    assert report["queue"][1] == "no worker serves export"
    assert not report.keys() & {"database", "listen", "tls"}
    assert await owner.fetchval("select count(*) from storage.objects") == 0


async def test_a_project_with_a_connection(examine: Examine, project_url: str) -> None:
    code, report = await examine(DATABASE_URL=project_url)
    assert code == 0
    for check in ("listen", "schema", "privileges", "table", "rest", "realtime", "storage"):
        assert report[check][0] == "ok", report[check]
    assert not report.keys() & {"grants", "publication", "policies", "wake"}


async def test_behind_a_transaction_pooler(examine: Examine, project_url: str) -> None:
    async with pooling(project_url) as url:
        code, report = await examine(DATABASE_URL=url)
        assert (code, report["listen"][0]) == (0, "warning")
        assert "so Realtime announces rows instead" in report["listen"][1]
        code, report = await examine(DATABASE_URL=url, SUPABASE_URL="", SUPABASE_SERVICE_KEY="")
        assert (code, report["listen"][0]) == (1, "failure")
        assert "session-mode pooler" in str(report["listen"][2])


async def test_keys_that_are_none(examine: Examine, project: Stack) -> None:
    for key, says in {
        project.publishable_key: "SUPABASE_SERVICE_KEY is the public key",
        project.legacy_key("anon"): "SUPABASE_SERVICE_KEY is the public key",
        project.user_token("11111111-1111-4111-8111-111111111111"): "is a key or token of authenticated",
        project.sign(
            {"role": "service_role", "exp": int(time.time()) - 9}, legacy=True
        ): "the key has expired",
        "my-database-password": "is not a key of Supabase",
        "sb_secret_of-another-project": "refused the key or token",
    }.items():
        code, report = await examine(SUPABASE_SERVICE_KEY=key)
        assert code == 1
        assert any(says in text for level, text, _ in report.values() if level == "failure"), report
    code, report = await examine(SUPABASE_SERVICE_KEY=project.legacy_key("service_role"))
    assert (code, report["key"][0]) == (0, "ok")


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("https://supabase.com/dashboard/project/abcdef", "Set SUPABASE_URL=https://abcdef.supabase.co"),
        ("https://abcdef.supabase.co/rest/v1", "Set SUPABASE_URL=https://abcdef.supabase.co"),
        ("https://db.abcdef.supabase.co", "Set SUPABASE_URL=https://abcdef.supabase.co"),
        ("http://abcdef.supabase.co", "Set SUPABASE_URL=https://abcdef.supabase.co"),
    ],
)
async def test_addresses_that_are_none(examine: Examine, url: str, fix: str) -> None:
    code, report = await examine(SUPABASE_URL=url)
    assert (code, report["url"][0], report["url"][2]) == (1, "failure", fix)


async def test_a_key_of_another_project(examine: Examine, project: Stack) -> None:
    key = project.sign({"role": "service_role", "ref": "fghij"}, legacy=True)
    _, report = await examine(SUPABASE_URL="https://abcde.supabase.co", SUPABASE_SERVICE_KEY=key)
    assert report["key"][1] == "the key belongs to another project, fghij"


async def test_a_project_that_does_not_answer(examine: Examine, project: Stack) -> None:
    await project.stop()
    code, report = await examine()
    assert (code, report["project"][0]) == (1, "failure")
    assert "that the project is not paused" in str(report["project"][2])
    await project.start()


async def test_realtime_and_storage_have_trouble(
    examine: Examine, project: Stack, owner: asyncpg.Connection
) -> None:
    project.realtime.refuses = "Unauthorized: no"
    await owner.execute("update storage.buckets set file_size_limit = 50000000 where id = 'exports'")
    code, report = await examine()
    assert code == 0
    assert report["realtime"][1] == "Realtime refuses the connection, so it does not announce rows"
    assert report["storage"][1] == "the bucket exports accepts only files of up to 50 MB"


@pytest.mark.parametrize(
    ("statement", "check", "level", "fix"),
    [
        ("alter table export_jobs disable row level security", "policies", "failure", "enable row level security"),
        ("revoke select on export_jobs from service_role", "grants", "warning", "grant select, insert, update, delete"),
        ("alter publication supabase_realtime drop table export_jobs", "publication", "warning", "add table public."),
        ("select listener.attach('export_jobs', 'export', wake => 'realtime')", "wake", "warning", "--wake both"),
        ("drop function public.listener_schema_version", "rest", "warning", "listener migrate"),
    ],
)  # fmt: skip
async def test_the_database_is_not_set_up_for_it(
    examine: Examine,
    project_url: str,
    owner: asyncpg.Connection,
    statement: str,
    check: str,
    level: str,
    fix: str,
) -> None:
    await owner.execute(statement)
    code, report = await examine(DATABASE_URL=project_url)
    assert (code, report[check][0]) == (1 if level == "failure" else 0, level), report
    assert fix in str(report[check][2])
