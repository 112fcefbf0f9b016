"""kill -9 in every stage: the job goes on where it was, and nothing is paid for twice."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import asyncpg
import pytest
from anyio import to_thread

from listener.database import migrate
from tests.support.harness import until
from tests.support.standin.provider import CHAT, SPEECH, providing

ROOT = Path(__file__).parents[2]
USER = str(uuid.uuid4())

# A change to a word waits for whoever holds the lock of that word.
GATES = """
create function gate() returns trigger language plpgsql as
  $$ begin perform pg_advisory_xact_lock_shared(hashtext(new.status)); return new; end $$;
create trigger gate before update on studio_jobs for each row
  when (old.status is distinct from new.status) execute function gate();
update listener.queue set max_attempts = 20 where name = 'studio';
"""

WAITING = """
select pid from pg_locks where locktype = 'advisory' and not granted
  and database = (select oid from pg_database where datname = current_database())
"""


class Services:
    """`listener run` in processes of their own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self.environment = environment
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        command = [sys.executable, "-m", "listener", "run", "handlers.studio.handler:app"]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment, cwd=self._folder, stderr=log)
        self.running[process.pid] = process

    def kill(self, pid: int) -> None:
        process = self.running.pop(pid)
        process.kill()
        process.wait()


@pytest.fixture
def services(database: str, tmp_path: Path) -> Iterator[Services]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database,
        "STORAGE_DIR": str(tmp_path / "storage"),
        "ENABLE_HEALTH_CHECK": "false",
        "LEASE": "0.8",
        "HEARTBEAT": "0.2",
    }
    made = Services(tmp_path, environment)
    yield made
    for pid in list(made.running):
        made.kill(pid)


async def test_killed_in_every_stage(
    db: asyncpg.Connection, services: Services, tones: Path, tmp_path: Path
) -> None:
    for preset in ("supabase_shim", "studio_jobs"):
        await db.execute(migrate.preset(preset))
    await db.execute(GATES)
    await db.execute("insert into auth.users (id) values ($1)", USER)
    talk = tmp_path / "storage/studio_audio" / USER / "talk.ogg"
    talk.parent.mkdir(parents=True)
    await to_thread.run_sync(copyfile, tones, talk)

    async def killed() -> None:
        """End the process that has the job now; another one is there already."""
        worker = await db.fetchval("select worker from listener.delivery where state = 'running'")
        services.kill(int(worker.split("-")[1]))
        services.start()

    async def killed_before(word: str) -> None:
        """End it while it writes that word, and its session, which would not notice before it has written."""
        await until(lambda: db.fetchval(f"select exists ({WAITING})"), within=20)
        await killed()
        await db.execute(f"select pg_terminate_backend(pid) from ({WAITING}) as w")
        await until(lambda: db.fetchval(f"select not exists ({WAITING})"), within=20)
        await db.execute("select pg_advisory_unlock(hashtext($1))", word)

    async with providing() as provider:
        services.environment |= {"STUDIO_SPEECH_URL": provider.url, "STUDIO_LLM_URL": provider.url}
        provider.plan(SPEECH, "hang")
        provider.plan(CHAT, "hang")
        for word in ("ENRICHING", "REFINING", "COMPLETE"):
            await db.execute("select pg_advisory_lock(hashtext($1))", word)
        services.start()
        services.start()
        job = await db.fetchval(
            "insert into studio_jobs (user_id, raw_audio_url) values ($1, 'talk.ogg') returning job_id", USER
        )
        await provider.came(SPEECH)
        await killed()
        await killed_before("ENRICHING")
        await killed_before("REFINING")
        await provider.came(CHAT)
        await killed()
        await killed_before("COMPLETE")
        done = "select * from studio_jobs where status = 'COMPLETE'"
        row = await until(lambda: db.fetchrow(done), within=20)
        assert row["job_id"] == job
        assert row["refined_text"] == "Refined: Good morning. We talk about the garden."
        # Twice for the requests that never came back, and not once more.
        assert (len(provider.of(SPEECH)), len(provider.of(CHAT))) == (2, 2)
    outcomes = await db.fetch("select outcome from listener.attempt order by id")
    assert [row["outcome"] for row in outcomes] == ["lost"] * 5 + ["completed"]
