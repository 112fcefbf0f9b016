"""The harness that authors of handlers test with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from listener import App, ConfigError, Fail, Job, Retry, Snooze
from listener.kit import storage, tables
from listener.testing import JobFailed, running_app

SQL = """
create table texts (
  id int generated always as identity primary key, text text, loud text, error text, at timestamptz,
  status text not null default 'queued' check (status in ('queued', 'running', 'done', 'failed'))
);
select listener.attach('texts', queue => 'texts', max_attempts => 2, backoff => '1 hour');
"""


async def test_a_row_is_run_to_its_end(database: str) -> None:
    app = App()

    @app.handler("texts")
    async def shout(job: Job) -> dict[str, str]:
        job.warn("it is loud")
        return {"loud": job.row["text"].upper()}

    async with running_app(app, sql=SQL, database_url=database) as harness:
        job = await harness.run("texts", text="hello")

    assert (job.state, job.row["loud"], job.error) == ("completed", "HELLO", None)
    assert job.warnings == ["it is loud"]
    assert [(one.number, one.outcome) for one in job.attempts] == [(1, "completed")]


@pytest.mark.parametrize("plain", [False, True])
async def test_a_failed_job_shows_its_attempts_and_the_traceback(database: str, plain: bool) -> None:
    app = App()

    def divide(job: Job) -> int:
        return 1 // len(job.row["text"])

    async def divide_async(job: Job) -> int:
        return divide(job)

    app.handler("texts")(divide if plain else divide_async)
    async with running_app(app, sql=SQL, database_url=database) as harness:
        with pytest.raises(JobFailed) as failed:
            await harness.run("texts", text="")

    lines = str(failed.value).splitlines()
    assert lines[:3] == [
        "job 1 of queue texts: failed",
        "  attempt 1: retried, ZeroDivisionError: integer division or modulo by zero",
        "  attempt 2: failed, ZeroDivisionError: integer division or modulo by zero",
    ]
    assert "return 1 // len" in str(failed.value)
    assert lines[-1].startswith("ZeroDivisionError")
    assert "listener/testing" not in str(failed.value)


async def test_a_test_can_expect_a_failure(database: str) -> None:
    app = App()

    @app.handler("texts")
    async def refuse(job: Job) -> None:
        raise Fail("There is no text.")

    async with running_app(app, sql=SQL, database_url=database) as harness:
        job = await harness.ended("texts", await harness.submit("texts"))

    assert (job.state, job.error, job.row["status"]) == ("failed", "There is no text.", "failed")


async def test_nobody_waits_for_snoozes_and_backoffs(database: str) -> None:
    app = App()

    @app.handler("texts")
    async def hesitate(job: Job) -> None:
        if job.snoozes < 2:
            raise Snooze(3600)
        if job.attempt == 1:
            raise Retry("not yet")

    async with running_app(app, sql=SQL, database_url=database) as harness:
        job = await harness.run("texts")

    assert [one.outcome for one in job.attempts] == ["retried", "completed"]


async def test_a_timeout_shows_the_unfinished_jobs(database: str) -> None:
    app = App()
    started = anyio.Event()

    @app.handler("texts", concurrency=2)
    async def hesitate(job: Job) -> None:
        if job.row["text"] == "slow":
            started.set()
            await anyio.sleep_forever()
        raise Retry("not yet")

    async with running_app(app, sql=SQL, database_url=database) as harness:
        slow = await harness.submit("texts", text="slow")
        await started.wait()
        later = await harness.submit("texts", text="later")
        with pytest.raises(TimeoutError) as late:
            await harness.ended("texts", later, timeout=1, skip_delays=False)

    lines = str(late.value).splitlines()
    assert lines[0] == f"job {later} of queue texts has not ended in 1 s; unfinished jobs:"
    assert f"job {slow} of queue texts: running" in lines
    assert f"job {later} of queue texts: scheduled" in lines
    assert "  attempt 1: retried, not yet" in lines


async def test_the_environment_is_ignored(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", "https://abc.supabase.co")
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "sb_secret_of_somebody")
    monkeypatch.setenv("PROGRESS_BROADCAST", "5")
    monkeypatch.setenv("PUBLIC_URL", "https://jobs.example.com")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    app = App()

    @app.handler("texts")
    async def publish(job: Job) -> dict[str, str]:
        assert await tables.current().select("texts")
        file = job.workdir / "a.txt"
        file.write_text(job.row["text"])
        return {"loud": await storage.upload("texts", file)}

    async with running_app(app, tmp_path / "files", sql=SQL, database_url=database) as harness:
        job = await harness.run("texts", text="hello")
        assert job.row["loud"].startswith(harness.address)
    assert list(tmp_path.glob("files/texts/**/*.txt"))  # noqa: ASYNC240 - nothing else runs


async def test_what_does_not_fit_is_raised_in_the_test(database: str) -> None:
    app = App()
    with pytest.raises(ConfigError, match="no handlers"):
        async with running_app(app, sql=SQL, database_url=database):
            pass


async def test_a_row_that_is_not_there(database: str) -> None:
    app = App()
    app.handler("texts")(print)
    async with running_app(app, sql=SQL, database_url=database) as harness:
        with pytest.raises(LookupError, match="queue texts has no row with the key 7"):
            await harness.job("texts", 7)


TESTS = """
import pytest
from listener import App

app = App()
app.handler("texts")(lambda job: {"loud": job.row["text"].upper()})

@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["a", "b"])
async def test_each_test_has_a_fresh_database(run_app, text):
    async with run_app(app, sql=SQL) as harness:
        job = await harness.run("texts", text=text)
    assert (job.key, job.row["loud"]) == ("1", text.upper())
"""


def test_the_fixtures_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["listener.testing.plugin"]\n')
    (tmp_path / "test_texts.py").write_text(f"SQL = {SQL!r}\n{TESTS}")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
