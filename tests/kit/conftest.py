"""Small real media, made once by the real FFmpeg, and storages of each kind."""

from __future__ import annotations

import asyncio
import re
import shlex
import string
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import asyncpg
import fastapi
import httpx
import pytest
import uvicorn
from moto.server import ThreadedMotoServer

from listener.database import migrate
from listener.embedded import Postgres
from listener.kit import ffmpeg
from listener.kit.storage import LocalStorage, Storage
from listener.kit.storage.http import routes
from listener.kit.storage.s3 import S3Storage
from listener.kit.storage.supabase import SupabaseStorage
from tests.support.databases import execute
from tests.support.harness import until
from tests.support.standin.stack import Stack, running
from tests.support.standin.storage import SCHEMA

SOURCES = {
    "film.mp4": "-f lavfi -i testsrc2=s=320x240:r=30:d=3 -f lavfi -i sine=d=3 -pix_fmt yuv420p"
    " -movflags +faststart",
    "sound.mp3": "-f lavfi -i sine=d=2",
    "picture.png": "-f lavfi -i color=red@0.5:s=64x48,format=rgba -frames:v 1 -update 1",
    "moving.gif": "-f lavfi -i testsrc2=s=64x48:r=10:d=1",
}


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with film.mp4 (90 frames, 3 s, sound), sound.mp3 (2 s), picture.png (alpha), moving.gif."""
    folder = tmp_path_factory.mktemp("media")
    for name, source in SOURCES.items():
        make(folder / name, source)
    return folder


@pytest.fixture(scope="session")
def film(media_folder: Path) -> Path:
    return media_folder / "film.mp4"


DOCS = Path(__file__).parents[2] / "docs"
BUCKETS = ["exports", "uploads", "thumbs"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Like a job's scratch folder."""
    folder = tmp_path / "job-7"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def storage_database(postgres: Postgres) -> str:
    """The URL of a database with Supabase's schema `storage`."""
    url = postgres.database_url("storage")
    asyncio.run(execute(postgres.url, "create database storage"))
    asyncio.run(execute(url, migrate.preset("supabase_shim"), SCHEMA))
    return url


@pytest.fixture
async def project(storage_database: str) -> AsyncIterator[Stack]:
    """A Supabase project with the buckets exports, uploads and thumbs."""
    connection = await asyncpg.connect(storage_database)
    await connection.execute("truncate storage.objects, storage.buckets")
    await connection.executemany(
        "insert into storage.buckets (id, name) values ($1, $1)", [(bucket,) for bucket in BUCKETS]
    )
    await connection.close()
    async with running(storage_database) as stack:
        yield stack


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str) -> S3Storage:
    """An S3 account with the buckets exports, uploads and thumbs."""
    httpx.post(f"{moto}/moto-api/reset").raise_for_status()
    for bucket in BUCKETS:
        httpx.put(f"{moto}/{bucket}").raise_for_status()
    return S3Storage(moto, "key-id", "secret", "us-east-1", patience=2)


@pytest.fixture
def supabase(project: Stack) -> SupabaseStorage:
    return SupabaseStorage(project.url, project.secret_key, timeout=2, patience=2)


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root", "http://127.0.0.1:1")


@pytest.fixture(params=["local", "supabase", "s3"])
def files(request: pytest.FixtureRequest) -> Storage:
    """Each kind of storage, with the buckets exports, uploads and thumbs."""
    storage: Storage = request.getfixturevalue(request.param)
    return storage


@asynccontextmanager
async def serving(local: LocalStorage) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the addresses of a storage on a free port."""
    app = fastapi.FastAPI()
    app.include_router(routes(local))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
        tasks.start_soon(server.serve)
        await until(lambda: server.started)
        _, port = server.servers[0].sockets[0].getsockname()
        local.base_url = f"http://127.0.0.1:{port}"
        yield client
        server.should_exit = True


def make(target: Path, source: str) -> Path:
    """Make a file with FFmpeg, outside the code under test."""
    subprocess.run([ffmpeg.binary(), "-v", "error", "-y", *shlex.split(source), target], check=True)
    return target


def copy(source: Path, target: Path, *, share: float = 1.0) -> Path:
    """Copy the first `share` of a file."""
    content = source.read_bytes()
    target.write_bytes(content[: round(len(content) * share)])
    return target


def names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def documented() -> str:
    """Return the characters that the documentation allows in keys of Supabase, without the separator of folders."""
    sentence = re.search(r"ASCII letters, digits, spaces and `([^`]+)`", (DOCS / "storage.md").read_text())
    assert sentence is not None
    return string.ascii_letters + string.digits + " " + sentence[1].replace("/", "")
