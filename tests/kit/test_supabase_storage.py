"""Objects in Supabase Storage: resumable both ways, patient with what passes, and clear about what does not."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest

from listener.errors import ConfigError
from listener.kit import storage
from listener.kit.storage import BadKey, ObjectNotFound, Refused, StorageError, TooLarge
from listener.kit.storage import supabase as supabase_storage
from listener.kit.storage.supabase import SupabaseStorage
from tests.support.harness import until
from tests.support.standin.stack import Stack
from tests.support.standin.storage_shelf import Shelf

from .conftest import documented, names

MIB = 1024**2
TUS = "/storage/v1/upload/resumable"
READ = "GET /storage/v1/object/authenticated/exports/film.mp4"
STORE = "POST /storage/v1/object/exports/film.mp4"


@pytest.fixture
def shelf(project: Stack) -> Shelf:
    return project.storage


@pytest.fixture
def hasty(project: Stack) -> SupabaseStorage:
    """Gives up at once."""
    return SupabaseStorage(project.url, project.secret_key, patience=0)


@pytest.fixture
def big(folder: Path) -> Path:
    """15 MiB: three chunks."""
    path = folder / "film.mp4"
    path.write_bytes(os.urandom(15 * MIB))
    return path


@pytest.fixture
def small(folder: Path) -> Path:
    """3 MiB: one request."""
    path = folder / "film.mp4"
    path.write_bytes(os.urandom(3 * MIB))
    return path


def fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def content(path: Path) -> bytes:
    return path.read_bytes()


def asked(project: Stack) -> list[str]:
    """The requests so far, with uploads by their names."""
    return [f"{line.split()[0]} upload" if f"{TUS}/" in line else line for line in project.requests]


async def sql(project: Stack, statement: str) -> None:
    connection = await asyncpg.connect(project.dsn)
    await connection.execute(statement)
    await connection.close()


async def test_small_files_go_by_one_request_and_others_in_chunks(
    supabase: SupabaseStorage, project: Stack, folder: Path
) -> None:
    (folder / "film").write_bytes(bytes(6 * MIB))
    await supabase.upload("exports", folder / "film", "film.mp4")
    (folder / "film").write_bytes(bytes(12 * MIB + 1))
    await supabase.upload("exports", folder / "film", "film.mp4")

    assert asked(project) == [STORE, f"POST {TUS}", *["PATCH upload"] * 3]


async def test_a_download_without_a_length_is_given_up_as_soon_as_it_is_too_large(folder: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endless = SupabaseStorage(f"http://127.0.0.1:{port}", "sb_secret_x")
        with pytest.raises(TooLarge):
            await endless.download("exports", "film.mp4", folder, max_bytes=5 * MIB)
    assert names(folder) == []


# Uploads


@pytest.mark.parametrize("size", [1, 9 * MIB, 12 * MIB, 15 * MIB])
async def test_an_upload_goes_on_where_its_connection_broke(
    supabase: SupabaseStorage, project: Stack, shelf: Shelf, big: Path, folder: Path, size: int
) -> None:
    shelf.cut_at = size
    await supabase.upload("exports", big, "film.mp4")

    assert shelf.received == 15 * MIB  # nothing came twice
    assert asked(project).count("HEAD upload") == 1
    assert content(await supabase.download("exports", "film.mp4", folder)) == content(big)


async def test_a_chunk_whose_answer_was_lost_is_not_sent_again(
    supabase: SupabaseStorage, project: Stack, shelf: Shelf, big: Path
) -> None:
    project.faults.add(f"PATCH {TUS}/*", cut="after", times=3)
    await supabase.upload("exports", big, "film.mp4")
    assert (shelf.received, await supabase.keys("exports", "film.mp4")) == (15 * MIB, [])


async def test_a_large_object_is_replaced(supabase: SupabaseStorage, big: Path, folder: Path) -> None:
    await supabase.upload("exports", big, "film.mp4")
    fill(big, os.urandom(9 * MIB))
    await supabase.upload("exports", big, "film.mp4")
    assert content(await supabase.download("exports", "film.mp4", folder)) == content(big)


async def test_an_upload_that_was_complete_is_not_sent_again(
    supabase: SupabaseStorage, shelf: Shelf, big: Path
) -> None:
    """The process was killed after the upload, before its row was written. The next attempt resumes the upload."""
    words: list[str] = []

    async def remember(word: str) -> None:
        words.append(word)

    for resume in (None, "the word"):
        await supabase.upload("exports", big, "film.mp4", resume=resume and words[0], remember=remember)
    assert (shelf.received, len(words)) == (15 * MIB, 1)


async def test_two_attempts_at_one_upload_both_succeed(
    supabase: SupabaseStorage, hasty: SupabaseStorage, shelf: Shelf, big: Path, folder: Path
) -> None:
    words: list[str] = []

    async def remember(word: str) -> None:
        words.append(word)

    shelf.cut_at = 7 * MIB
    with pytest.raises(StorageError):
        await hasty.upload("exports", big, "film.mp4", remember=remember)
    async with anyio.create_task_group() as attempts:
        for _ in range(2):
            attempts.start_soon(partial(supabase.upload, "exports", big, "film.mp4", resume=words[0]))
    assert content(await supabase.download("exports", "film.mp4", folder)) == content(big)


async def test_a_large_object_may_have_any_documented_character_in_its_key(
    supabase: SupabaseStorage, big: Path, folder: Path
) -> None:
    key = f"{documented()}/{documented()}"
    await supabase.upload("exports", big, key)
    assert content(await supabase.download("exports", key, folder)) == content(big)
    assert await supabase.keys("exports", documented()) == [key]


async def test_an_object_that_is_not_there_gets_no_address(supabase: SupabaseStorage) -> None:
    for bucket in ("exports", "nowhere"):
        with pytest.raises(ObjectNotFound, match=rf"There is no object 'a\+b' in bucket '{bucket}'"):
            await supabase.url(bucket, "a+b")


async def test_an_upload_outlives_its_process(
    supabase: SupabaseStorage, hasty: SupabaseStorage, project: Stack, shelf: Shelf, big: Path, folder: Path
) -> None:
    saved: list[dict[str, Any]] = []

    async def remember(value: dict[str, Any]) -> None:
        saved.append(value)

    async def publish(files: SupabaseStorage, fence: int) -> str:
        storage.use(files)
        last = saved[-1] if saved else None
        return await storage.publish("exports", big, "u/film.mp4", fence=fence, saved=last, remember=remember)

    shelf.cut_at = 7 * MIB
    with pytest.raises(StorageError, match="could not be reached"):
        await publish(hasty, 3)
    assert project.secret_key not in str(saved)

    assert "u/film-3.mp4" in await publish(supabase, 5)
    assert shelf.received == 15 * MIB
    assert project.requests.count(f"POST {TUS}") == 1
    assert content(await supabase.download("exports", "u/film-3.mp4", folder)) == content(big)

    fill(big, os.urandom(15 * MIB))
    assert "u/film-7.mp4" in await publish(supabase, 7)
    assert await supabase.keys("exports", "u") == ["u/film-7.mp4"]
    assert content(await supabase.download("exports", "u/film-7.mp4", folder)) == content(big)


@pytest.mark.parametrize("strange", ["expired", "another"])
async def test_an_upload_that_can_not_be_resumed_begins_anew(
    supabase: SupabaseStorage, hasty: SupabaseStorage, shelf: Shelf, big: Path, folder: Path, strange: str
) -> None:
    words: list[str] = []

    async def remember(word: str) -> None:
        words.append(word)

    shelf.cut_at = 7 * MIB
    with pytest.raises(StorageError):
        await hasty.upload("exports", big, "other.mp4", remember=remember)
    if strange == "expired":
        shelf.uploads.clear()
    await supabase.upload("exports", big, "film.mp4", resume=words[0], remember=remember)

    assert len(words) == 2
    assert content(await supabase.download("exports", "film.mp4", folder)) == content(big)


# Downloads


async def test_a_download_goes_on_where_its_connection_broke(
    supabase: SupabaseStorage, project: Stack, shelf: Shelf, small: Path, folder: Path
) -> None:
    await supabase.upload("exports", small, "film.mp4")
    project.faults.add(READ, cut="half")
    project.faults.add(READ, cut="before")

    assert content(await supabase.download("exports", "film.mp4", folder)) == content(small)
    assert shelf.ranges == [None, f"bytes={MIB}-"]


async def test_a_download_never_mixes_two_versions(
    supabase: SupabaseStorage, project: Stack, small: Path, folder: Path
) -> None:
    await supabase.upload("exports", small, "film.mp4")
    old = content(small)
    project.faults.add(READ, cut="half")
    away = project.faults.add(READ, status=503, times=1000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supabase.download, "exports", "film.mp4", folder)
        await away.happened.wait()
        fill(small, old[::-1])
        await supabase.upload("exports", small, "film.mp4")
        project.faults.clear()

    (name,) = set(names(folder)) - {"film.mp4"}
    assert content(folder / name) == old[::-1]


async def test_a_server_that_only_drips_counts_as_silent(project: Stack, shelf: Shelf, folder: Path) -> None:
    files = SupabaseStorage(project.url, project.secret_key, timeout=0.3)
    (folder / "film.mp4").write_bytes(b"film")
    await files.upload("exports", folder / "film.mp4", "film.mp4")
    shelf.drips = True
    assert content(await files.download("exports", "film.mp4", folder)) == b"film"


async def test_a_cancelled_download_leaves_nothing(
    supabase: SupabaseStorage, shelf: Shelf, folder: Path, tmp_path: Path
) -> None:
    (folder / "film.mp4").write_bytes(b"film")
    await supabase.upload("exports", folder / "film.mp4", "film.mp4")
    shelf.drips = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supabase.download, "exports", "film.mp4", folder)
        await until(lambda: len(names(folder)) == 2)
        tasks.cancel_scope.cancel()
    assert names(folder) == ["film.mp4"]


# What passes


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "times": 2},
        {"status": 429},
        {"status": 400, "body": b'{"statusCode":"544","message":"timeout","code":"DatabaseTimeout"}'},
        {"status": 502, "body": b"<html>Bad Gateway</html>"},
        {"cut": "before"},
        {"cut": "after"},
    ],
    ids=["500", "429", "544", "html", "cut", "lost"],
)
async def test_what_passes_is_tried_again(
    supabase: SupabaseStorage, project: Stack, folder: Path, fault: dict[str, Any]
) -> None:
    for request in (STORE, READ, "POST /storage/v1/object/list/exports"):
        project.faults.add(request, **fault)
    fill(folder / "film.mp4", b"film")
    await supabase.upload("exports", folder / "film.mp4", "film.mp4")
    assert content(await supabase.download("exports", "film.mp4", folder)) == b"film"
    assert await supabase.keys("exports", "nothing") == []


async def test_an_answer_that_does_not_come_is_asked_for_again(project: Stack, folder: Path) -> None:
    files = SupabaseStorage(project.url, project.secret_key, timeout=0.3)
    late = project.faults.add("POST /storage/v1/object/list/exports", delay=1.0)
    assert await files.keys("exports", "nothing") == []
    assert late.happened.is_set()


async def test_a_busy_server_is_left_alone_as_long_as_it_asks(
    supabase: SupabaseStorage, project: Stack, folder: Path
) -> None:
    (folder / "film.mp4").write_bytes(b"film")
    project.faults.add(STORE, status=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    await supabase.upload("exports", folder / "film.mp4", "film.mp4")
    assert time.monotonic() - start >= 1


async def test_a_server_that_stays_away_is_an_error_without_secrets(
    hasty: SupabaseStorage, project: Stack, big: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert await hasty.keys("exports", "u") == []
    await project.stop()
    for attempt in (
        hasty.upload("exports", big, "film.mp4"),
        hasty.download("exports", "film.mp4", folder),
        hasty.url("exports", "film.mp4"),
        hasty.remove("exports", "film.mp4"),
    ):
        with pytest.raises(StorageError, match="could not be reached") as caught:
            await attempt
        assert not isinstance(caught.value, Refused)
    assert caplog.text
    assert project.secret_key not in caplog.text
    assert names(folder) == ["film.mp4"]


# What does not


async def test_refusals_are_final_and_asked_for_once(project: Stack, big: Path, folder: Path) -> None:
    stranger = SupabaseStorage(project.url, project.publishable_key)
    with pytest.raises(Refused, match="row-level security"):
        await stranger.upload("exports", big, "film.mp4")
    fill(big, b"small")
    with pytest.raises(Refused, match="row-level security"):
        await stranger.upload("exports", big, "film.mp4")
    with pytest.raises(ObjectNotFound):
        await stranger.download("exports", "film.mp4", folder)
    assert len(project.requests) == 3


@pytest.mark.parametrize("size", [5 * MIB, 7 * MIB])
@pytest.mark.parametrize("limit", ["bucket", "project"])
async def test_a_file_that_is_too_large_names_both_limits(
    supabase: SupabaseStorage, project: Stack, shelf: Shelf, folder: Path, size: int, limit: str
) -> None:
    (folder / "film.mp4").write_bytes(bytes(size))
    if limit == "bucket":
        await sql(project, "update storage.buckets set file_size_limit = 1000000")
    else:
        shelf.limit = 2_000_000
    with pytest.raises(Refused) as caught:
        await supabase.upload("exports", folder / "film.mp4", "film.mp4")
    own = "takes at most 1.0 MB" if limit == "bucket" else "has no separate limit"
    assert f"film.mp4 ({size / 1e6:.1f} MB) is too large: the bucket 'exports' {own}" in str(caught.value)
    assert "the project has an upload file size limit" in str(caught.value)


async def test_what_the_bucket_does_not_take(supabase: SupabaseStorage, project: Stack, folder: Path) -> None:
    (folder / "film.txt").write_bytes(b"text")
    await sql(project, "update storage.buckets set allowed_mime_types = '{video/mp4}'")
    with pytest.raises(Refused, match="mime type text/plain is not supported"):
        await supabase.upload("exports", folder / "film.txt", "film.txt")
    await supabase.upload("exports", folder / "film.txt", "film.txt", content_type="video/mp4")
    with pytest.raises(BadKey, match="Invalid key"):
        await supabase.upload("exports", folder / "film.txt", "bücher.txt")
    with pytest.raises(Refused, match="There is no bucket 'nowhere'; make it"):
        await supabase.upload("nowhere", folder / "film.txt", "film.txt")


async def test_a_wrong_key_is_the_operators_to_mend(project: Stack, folder: Path) -> None:
    rotated = SupabaseStorage(project.url, "sb_secret_of-yesterday")
    with pytest.raises(StorageError, match="check SUPABASE_SERVICE_KEY") as caught:
        await rotated.download("exports", "film.mp4", folder)
    assert not isinstance(caught.value, Refused)  # the job can succeed, once the key is right
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    "reason",
    [
        "signature verification failed",
        '"exp" claim timestamp check failed',
        '"nbf" claim timestamp check failed',
        'missing required "exp" claim',
        "Invalid Compact JWS",
        "JWS Protected Header is invalid",
        '"alg" (Algorithm) Header Parameter value not allowed',
        "no applicable key found in the JSON Web Key Set",
        "Access denied: JWT is not authenticated",
        "Access denied: Invalid role",
    ],
)
async def test_a_key_that_the_storage_itself_refuses_is_the_operators_to_mend(
    hasty: SupabaseStorage, project: Stack, folder: Path, reason: str
) -> None:
    """Storage gives the reason of its JWT library if no gateway checks the key."""
    body = {"statusCode": "403", "error": "Unauthorized", "message": reason, "code": "AccessDenied"}
    project.faults.add(READ, status=400, body=json.dumps(body).encode())
    with pytest.raises(StorageError, match="check SUPABASE_SERVICE_KEY") as caught:
        await hasty.download("exports", "film.mp4", folder)
    assert not isinstance(caught.value, Refused)
    with pytest.raises(ConfigError, match="copy it again") as malformed:
        SupabaseStorage(project.url, "sb_secret_with a space")
    assert "sb_secret" not in str(malformed.value)


async def test_a_key_that_was_changed_is_followed_also_in_the_middle_of_an_upload(
    supabase: SupabaseStorage, project: Stack, big: Path, folder: Path, workdir: Path
) -> None:
    async def rotate(_: str) -> None:
        project.rotate(workdir)

    await supabase.upload("exports", big, "film.mp4", remember=rotate)
    assert content(await supabase.download("exports", "film.mp4", folder)) == content(big)


async def test_long_folders_are_read_page_by_page(
    supabase: SupabaseStorage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supabase_storage, "PAGE_KEYS", 2)
    (folder / "x").touch()
    for key in ("u/a", "u/b/deep", "u/c", "u/d", "u/e/deep", "u/f"):
        await supabase.upload("exports", folder / "x", key)
    assert await supabase.keys("exports", "u") == ["u/a", "u/c", "u/d", "u/f"]
