"""doctor: each test breaks one thing, and the report names it and the fix."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from listener.kit.sandbox.selftest import open_ways
from tests.cli.conftest import Listener, Sql, Worker


@pytest.fixture
def examine(listener: Listener) -> Any:
    """Runs the doctor. Returns its exit code and all problems as {check: (level, text, fix)}."""

    def run(*arguments: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
        result = listener("doctor", "--json", *arguments)
        checks = json.loads(result.output)["checks"]
        unwell = {c["check"]: (c["level"], c["text"], c["fix"]) for c in checks if c["level"] != "ok"}
        return result.exit_code, unwell

    return run


def test_all_is_well(listener: Listener, worker: Worker) -> None:
    result = listener("doctor")
    assert result.exit_code == 0, result.output
    assert "✓ listen      a notification took" in result.output
    assert "✓ table       public.thumbs is attached as thumbs" in result.output
    assert "✓ queue       thumbs: 1 worker, 5 slots" in result.output
    # Not every kernel can confine ffmpeg, and not every system has fonts; that is worth a look.
    possible = anyio.run(open_ways)
    assert ("✓ confinement ffmpeg has no network" in result.output) is not bool(possible)
    doubts = bool(possible) + ("! fonts" in result.output)
    assert result.output.endswith(f"\n0 errors, {doubts} warnings\n" if doubts else "\nno problems found\n")


def test_it_changes_nothing(listener: Listener, sql: Sql, thumbs: str) -> None:
    sql("alter table thumbs disable trigger user")
    sql("insert into thumbs (path) values ('a')")
    listener("doctor")
    assert sql("select count(*) from listener.delivery") == 0


def test_no_database_is_configured(examine: Any) -> None:
    code, unwell = examine()
    assert code == 1
    assert "set DATABASE_URL" in unwell["settings"][1]


def test_the_database_is_down(examine: Any) -> None:
    code, unwell = examine("--database-url", "postgresql://me:tea4two@127.0.0.1:1/x")
    assert code == 1
    assert unwell["database"][0] == "failure"
    assert "tea4two" not in str(unwell)


def test_there_is_no_schema(examine: Any, bare_database: str) -> None:
    code, unwell = examine("--database-url", bare_database)
    assert (code, unwell["schema"][2]) == (1, "Run: listener migrate")


def test_a_function_is_of_another_version(examine: Any, sql: Sql) -> None:
    sql("update listener.migration set checksum = 'x' where name = 'verbs/claim.sql'")
    code, unwell = examine()
    assert code == 0
    assert unwell["schema"] == ("warning", "1 outdated function file", "Run: listener migrate")


def test_browsers_can_call_a_function(examine: Any, sql: Sql, thumbs: str) -> None:
    sql("grant usage on schema listener to anon")
    sql("grant execute on function listener.cancel to anon")
    code, unwell = examine()
    assert code == 1
    assert unwell["privileges"][2].startswith("Run: revoke all on schema listener from anon;")


@pytest.mark.parametrize(
    ("statement", "problem", "fix"),
    [
        ("alter table thumbs disable trigger user", "the insert trigger is disabled, the update", "enable trigger"),
        ("drop trigger listener_insert_1 on thumbs", "the insert trigger is missing on", "listener attach"),
        ("drop table thumbs", "public.thumbs of thumbs does not exist any more", "listener detach thumbs"),
        (
            "alter table thumbs rename to pictures",
            "public.thumbs of thumbs is now called public.pictures",
            "listener attach public.pictures thumbs",
        ),
        ("alter table thumbs rename progress to percent", "has no column progress", "listener attach"),
        ("alter table thumbs enable row level security, force row level security", "hides its rows", "no force"),
    ],
)  # fmt: skip
def test_a_table_is_unwell(
    examine: Any, sql: Sql, thumbs: str, statement: str, problem: str, fix: str
) -> None:
    sql(statement)
    code, unwell = examine()
    assert code == 1
    assert problem in unwell["table"][1]
    assert fix in unwell["table"][2]


def test_a_large_table_wants_an_index_on_its_status(examine: Any, sql: Sql, thumbs: str) -> None:
    sql("insert into thumbs (status) select 'completed' from generate_series(1, 10001)")
    sql("analyze thumbs")
    assert "no index on status" in examine()[1]["table"][1]
    sql("create index on thumbs (status)")
    assert "table" not in examine()[1]


def test_a_queue_is_paused_and_nobody_serves_it(examine: Any, sql: Sql, thumbs: str) -> None:
    sql("insert into thumbs (path) values ('a')")
    code, unwell = examine()
    assert (code, unwell["queue"][1]) == (0, "no worker serves thumbs, and 1 job is waiting")


def test_a_worker_has_gone_silent(examine: Any, sql: Sql, worker: Worker) -> None:
    sql("insert into thumbs (path) values ('a')")
    worker.claim()
    sql("update listener.delivery set lease_until = now() - interval '1 s'")
    assert examine()[1]["queue"][1] == "1 job of thumbs has no heartbeat"


def test_a_delivery_is_broken(examine: Any, sql: Sql, thumbs: str) -> None:
    sql("insert into thumbs (path) values ('a')")
    sql("update listener.delivery set state = 'broken', error = 'no such column'")
    assert examine()[1]["broken"][1] == "1 job of thumbs can't be claimed: no such column"


def test_there_is_no_ffmpeg(
    examine: Any, worker: Worker, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setenv("LISTENER_FFMPEG", "nowhere")
    assert "LISTENER_FFMPEG names 'nowhere'" in examine()[1]["ffmpeg"][2]
    poor = elsewhere / "poor"
    poor.write_text("#!/bin/sh\necho ffmpeg version 1.0\n")
    poor.chmod(poor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("LISTENER_FFMPEG", str(poor))
    assert "no encoder libx264, aac" in examine()[1]["ffmpeg"][1]


def test_a_folder_cant_be_written_to(
    examine: Any, worker: Worker, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setenv("TEMP_DIR", "/proc")
    code, unwell = examine()
    assert (code, unwell["scratch"][0]) == (1, "failure")
    assert "TEMP_DIR" in unwell["scratch"][2]
