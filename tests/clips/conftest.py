"""The room in this process, with its tables, and a provider that a test controls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest

from handlers.clips import handler
from handlers.clips.settings import settings
from listener.kit import ffmpeg
from listener.testing import Harness, running_app
from tests.support.harness import until

from .provider import FalServer

PRESETS = ("supabase_shim", "projects", "clip_jobs")
KEY = "fal-key-of-this-test"


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=s=320x180:d=1:r=25", "-pix_fmt", "yuv420p"]
    anyio.run(lambda: ffmpeg.run([*picture, "-c:v", "libx264", "-preset", "ultrafast", path]))
    return path.read_bytes()


@pytest.fixture
def media_hosts() -> list[str]:
    """The hosts that the service trusts."""
    return []


@pytest.fixture
def fal(small_clip: bytes, media_hosts: list[str]) -> Iterator[FalServer]:
    server = FalServer()
    server.clip = small_clip
    media_hosts.append(server.host)
    yield server
    server.close()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables of the room."""

    def configure(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    monkeypatch.setattr("handlers.clips.generation.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("handlers.clips.generation.LONGEST_PAUSE", 0.1)
    yield configure
    settings.cache_clear()


@dataclass
class Studio:
    """A service with the room, and a project in its database."""

    harness: Harness
    project: str

    @property
    def db(self) -> asyncpg.Connection:
        return self.harness.connection

    async def ask(self, prompt: str, **columns: Any) -> str:
        """Insert a job. Returns its id."""
        columns = {"project_id": self.project, "prompt": prompt, "duration": 1, **columns}
        values = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        return str(
            await self.db.fetchval(
                f"insert into clip_jobs ({', '.join(columns)}) values ({values}) returning id",
                *columns.values(),
            )
        )

    async def ended(self, job: str, within: float = 15) -> asyncpg.Record:
        row: asyncpg.Record = await until(
            lambda: self.db.fetchrow(
                "select * from clip_jobs where id = $1 and status in ('success', 'error', 'cancelled')", job
            ),
            within,
        )
        return row

    async def warnings(self, job: str) -> str:
        return str(
            await self.db.fetchval(
                "select string_agg(warnings::text, ' ') from listener.attempt where job_key = $1", job
            )
        )


Open = Callable[[], AbstractAsyncContextManager[Studio]]


@pytest.fixture
def studio(tmp_path: Path, database: str, media_hosts: list[str]) -> Open:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Studio]:
        async with running_app(
            handler.app, tmp_path / "files", presets=PRESETS, database_url=database, media_hosts=media_hosts
        ) as made:
            await made.connection.execute(
                "select listener.attach('clip_jobs', 'clips', backoff => '10 milliseconds')"
            )
            project = await made.connection.fetchval("insert into projects default values returning id")
            yield Studio(made, str(project))

    return opened


@pytest.fixture
def by_fal(fal: FalServer, configure: Callable[..., None], studio: Open) -> Open:
    configure(CLIPS_PROVIDER="fal", FAL_KEY=KEY, CLIPS_FAL_URL=fal.url)
    return studio
