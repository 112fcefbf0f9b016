"""kill -9 in every stage: the job goes on where it was, and nothing is paid for twice."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import asyncpg
import pytest
from anyio import to_thread

from listener.database import migrate
from tests.support.harness import until
from tests.support.processes import Serve, serving
from tests.support.standin.provider import CHAT, SPEECH, providing

USER = str(uuid.uuid4())

# A change to a word waits until the lock of that word is free.
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


@pytest.fixture
def serve(database: str, tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a service; all of them end with the test."""
    settings = {
        "DATABASE_URL": database,
        "STORAGE_DIR": str(tmp_path / "storage"),
        "ENABLE_HEALTH_CHECK": "false",
        "LEASE": "0.8",
        "HEARTBEAT": "0.2",
    }
    with serving(tmp_path, "listener", "run", "handlers.studio.handler:app", **settings) as start:
        yield start


async def test_killed_in_every_stage(
    db: asyncpg.Connection, serve: Serve, tones: Path, tmp_path: Path
) -> None:
    for preset in ("supabase_shim", "studio_jobs"):
        await db.execute(migrate.preset(preset))
    await db.execute(GATES)
    await db.execute("insert into auth.users (id) values ($1)", USER)
    talk = tmp_path / "storage/studio_audio" / USER / "talk.ogg"
    talk.parent.mkdir(parents=True)
    await to_thread.run_sync(copyfile, tones, talk)

    async def killed() -> None:
        """Kill the process that runs the job. Another one is idle already."""
        worker = await db.fetchval("select worker from listener.delivery where state = 'running'")
        process = services.pop(int(worker.split("-")[1]))
        process.kill()
        process.wait()
        start()

    def start() -> None:
        process = serve(**providers)
        services[process.pid] = process

    async def killed_before(word: str) -> None:
        """End it while it writes that word, and its session, which would not notice before it has written."""
        await until(lambda: db.fetchval(f"select exists ({WAITING})"), within=20)
        await killed()
        await db.execute(f"select pg_terminate_backend(pid) from ({WAITING}) as w")
        await until(lambda: db.fetchval(f"select not exists ({WAITING})"), within=20)
        await db.execute("select pg_advisory_unlock(hashtext($1))", word)

    async with providing() as provider:
        providers = {"STUDIO_SPEECH_URL": provider.url, "STUDIO_LLM_URL": provider.url}
        services: dict[int, subprocess.Popen[bytes]] = {}
        provider.plan(SPEECH, "hang")
        provider.plan(CHAT, "hang")
        for word in ("ENRICHING", "REFINING", "COMPLETE"):
            await db.execute("select pg_advisory_lock(hashtext($1))", word)
        start()
        start()
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
