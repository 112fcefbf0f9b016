"""The command, with an empty folder and a new database, and a table that becomes a queue."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from listener.cli import main
from listener.config import Settings

Listener = Callable[..., Result]
Sql = Callable[..., Any]

THUMBS = """
create table thumbs (
  id int generated always as identity primary key,
  status text not null default 'queued' check (status in ('queued', 'processing', 'completed', 'failed')),
  progress int, message text, error_message text, path text, options jsonb, updated_at timestamptz default now()
)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of this machine's settings."""
    for field in Settings.model_fields.values():
        for name in getattr(field.validation_alias, "choices", ()):
            monkeypatch.delenv(str(name), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configured(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test's database, as DATABASE_URL."""
    monkeypatch.setenv("DATABASE_URL", database)
    return database


@pytest.fixture
def listener() -> Listener:
    """A function that runs the command in this process."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments), prog_name="listener")

    return run


@pytest.fixture
def sql(configured: str) -> Iterator[Sql]:
    """Runs a statement as the user would, and returns the first value, with JSON as Python."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(configured))
        runner.run(
            connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        )
        yield lambda statement, *values: runner.run(connection.fetchval(statement, *values))
        runner.run(connection.close())


@pytest.fixture
def thumbs(sql: Sql) -> str:
    """A queue of that name, over a table of that name."""
    sql(THUMBS)
    sql("select listener.attach('thumbs', 'thumbs')")
    return "thumbs"


class Worker:
    """A worker in SQL, which can be stopped between any two of its steps."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        sql("select listener.register('w', 'here', '1', '{\"thumbs\": 5}')")

    def claim(self) -> dict[str, Any]:
        """Take the next job."""
        job: dict[str, Any] = self._sql("select listener.claim('w', '{thumbs}', '{1}')")["jobs"][0]
        return job

    def settle(self, verb: str, job: dict[str, Any], **item: Any) -> None:
        """End, or move, an attempt."""
        batch = [{"delivery": job["delivery"], "fence": job["fence"], **item}]
        assert self._sql(f"select listener.{verb}($1)", batch)[0]["outcome"] == "ok"


@pytest.fixture
def worker(sql: Sql, thumbs: str) -> Worker:
    return Worker(sql)


def words(text: str) -> str:
    """A text with its blanks collapsed, so that tests do not depend on column widths."""
    return re.sub(r"\s+", " ", text).strip()


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a child process: plain output, and the checkout on the import path."""
    checkout = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": checkout, "NO_COLOR": "1", **extra}


def on_a_terminal(*command: str) -> tuple[int, str]:
    """The exit code of `listener COMMAND` on a terminal of 100 columns, and what it shows there."""
    ours, theirs = pty.openpty()
    run = subprocess.run(
        [sys.executable, "-m", "listener", *command],
        env=environment(TERM="xterm", COLUMNS="100"),
        stdout=theirs,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    return run.returncode, shown
