"""The commands of people, where there is no DATABASE_URL."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from click.testing import CliRunner

from listener.cli import main
from tests.support.harness import Table
from tests.support.standin.stack import Stack


async def test_commands_work_over_the_rest_api(
    project: Stack, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = await Table(owner).create()
    monkeypatch.setenv("SUPABASE_URL", project.url)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", project.secret_key)

    async def run(*arguments: str) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments))
        return result.output

    assert "submitted a" in await run("submit", "jobs", "id=a")
    queues = json.loads(await run("queues", "--json"))
    assert {queue["queue"]: queue["waiting"] for queue in queues} == {"export": 0, "jobs": 1}
    await run("cancel", "jobs", "a")
    assert (await jobs.row("a"))["status"] == "cancelled"
    refused = await run("watch", "jobs", "a")
    assert (
        refused
        == "error: this command needs SQL queries, which the REST API does not offer; set DATABASE_URL\n"
    )
