"""kill -9 at every step: a clip is ordered once, and where nobody can tell, it is said."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from listener.database import migrate
from tests.support.harness import until
from tests.support.processes import Serve, serving

from .conftest import KEY, PRESETS
from .provider import IN_PROGRESS, FalServer


@pytest.fixture
def serve(database: str, fal: FalServer, tmp_path: Path) -> Iterator[Serve]:
    """Starts the room as a separate service."""
    environment = {
        "DATABASE_URL": database,
        "STORAGE_DIR": str(tmp_path / "files"),
        "PUBLIC_URL": "http://127.0.0.1:1",
        "HEALTH_CHECK_PORT": "0",
        "MEDIA_HOSTS": fal.host,
        "CLIPS_PROVIDER": "fal",
        "FAL_KEY": KEY,
        "CLIPS_FAL_URL": fal.url,
        "LEASE": "1.5",
        "HEARTBEAT": "0.3",
    }
    with serving(tmp_path, "listener", "run", "handlers.clips.handler:app", **environment) as start:
        yield start


@pytest.fixture
async def db(db: asyncpg.Connection) -> asyncpg.Connection:
    for preset in PRESETS:
        await db.execute(migrate.preset(preset))
    await db.execute("insert into projects (title) values ('one')")
    return db


async def ask(db: asyncpg.Connection, *prompts: str) -> None:
    await db.execute(
        "insert into clip_jobs (project_id, prompt, duration) select p.id, t, 1 from projects p, unnest($1::text[]) t",
        prompts,
    )


async def ended(db: asyncpg.Connection, prompt: str) -> asyncpg.Record:
    """The row when it is over, and what was warned of."""
    query = (
        "select j.*, (select string_agg(a.warnings::text, '') from listener.attempt a where a.job_key = j.id::text)"
        " as warnings from clip_jobs j where prompt = $1 and status in ('success', 'error')"
    )
    row: asyncpg.Record = await until(lambda: db.fetchrow(query, prompt), 20)
    return row


SENT, POLLED, FETCHED, ENDING = "is sent", "is asked for the first time", "is fetched", "is being ended"


@pytest.mark.parametrize("choice", ["fail", "retry"])
async def test_killed_at_every_step(
    serve: Serve, db: asyncpg.Connection, fal: FalServer, tmp_path: Path, choice: str
) -> None:
    steps = {SENT: "submit", POLLED: "status", FETCHED: "file", ENDING: "file"}
    holds = {prompt: fal.hold(step, prompt) for prompt, step in steps.items()}
    fal.on_status["waits"] = [IN_PROGRESS] * 1000
    victim = serve(CLIPS_ON_AMBIGUOUS=choice)
    await ask(db, "waits")
    snoozed = "select true from listener.delivery where state = 'scheduled' and checkpoint -> 'ref' <> 'null'"
    await until(lambda: db.fetchval(snoozed), 20)
    await ask(db, *steps)
    await until(lambda: all(hold.reached.is_set() for hold in holds.values()), 20)
    async with db.transaction():
        await db.execute("select from clip_jobs where prompt = $1 for update", ENDING)
        holds[ENDING].go_on.set()
        await until(lambda: list((tmp_path / "files/thumbnails").rglob("*.jpg")), 20)
        victim.kill()
        victim.wait()
    for hold in holds.values():
        hold.go_on.set()
    fal.on_status.clear()

    serve(CLIPS_ON_AMBIGUOUS=choice)
    for prompt in ("waits", POLLED, FETCHED, ENDING):
        row = await ended(db, prompt)
        assert (prompt, row["status"], row["error"]) == (prompt, "success", None)
        assert await db.fetchval("select count(*) from clips where id = $1", row["id"]) == 1
        assert fal.times(prompt) == 1
    row = await ended(db, SENT)
    said = f"{row['error']} {row['warnings']}"
    assert ("It is unknown" if choice == "fail" else "may be paid twice") in said
    assert (row["status"], fal.times(SENT)) == (("error", 1) if choice == "fail" else ("success", 2))
    assert await db.fetchval("select count(*) from clips where id = $1", row["id"]) == (choice == "retry")
    # Nothing was left by attempts that do not count.
    assert len(list((tmp_path / "files/clips").rglob("*.mp4"))) == await db.fetchval(
        "select count(*) from clips"
    )


async def test_a_shutdown_waits_for_the_answer(
    serve: Serve, db: asyncpg.Connection, fal: FalServer, tmp_path: Path
) -> None:
    hold = fal.hold("submit", "a fox")
    first = serve(SHUTDOWN_GRACE="0.1")
    await ask(db, "a fox")
    await until(hold.reached.is_set, 20)
    for _ in range(2):
        first.send_signal(signal.SIGTERM)
        await until(lambda: "shutting down" in (tmp_path / "log 0").read_text())
    hold.go_on.set()
    assert first.wait(20) == 0
    serve()
    row = await ended(db, "a fox")
    assert (row["status"], fal.times("a fox"), row["warnings"]) == ("success", 1, None)
