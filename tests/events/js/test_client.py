"""The stand-in also speaks with the real JavaScript client, in both versions of the protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.harness import Table
from tests.support.standin.stack import running

HERE = Path(__file__).parent

pytestmark = pytest.mark.system


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script, with what it needs installed beside it."""
    folder = tmp_path_factory.mktemp("js")
    for name in ("package.json", "listen.js"):
        shutil.copy(HERE / name, folder)
    subprocess.run(["npm", "install", "--silent", "--no-audit"], cwd=folder, check=True)
    return folder / "listen.js"


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
async def test_the_javascript_client_understands_it(
    program: Path, has_realtime: None, database: str, db: asyncpg.Connection, version: str
) -> None:
    jobs = await Table(db).create()
    await db.execute(
        "alter publication supabase_realtime add table jobs; grant usage on schema public to service_role;"
        "grant select on jobs to service_role"
    )
    async with running(database) as project:
        arguments = [project.url, project.secret_key, version, "listener:events", "jobs"]
        node = await asyncio.create_subprocess_exec(
            "node", program, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert node.stdin
        assert node.stdout
        heard: list[Any] = []

        async def hears(*wanted: tuple[str, str]) -> None:
            assert node.stdout
            while not {*map(tuple, heard)} >= {*wanted}:
                heard.append(json.loads(await asyncio.wait_for(node.stdout.readline(), 10)))

        await hears(("state", "SUBSCRIBED"), ("system", "Subscribed to PostgreSQL"))
        await jobs.add("a")
        await hears(("wake", "jobs"), ("insert", "a"))
        node.stdin.write(b"\n")
        await hears(("echo", "hello"), ("sent", "ok"))
        node.stdin.close()
        await node.wait()
