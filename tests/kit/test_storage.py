"""Objects in a local folder: keys that mean what they say, streams, and signed addresses."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import fastapi
import httpx
import pytest
import uvicorn

from listener.kit import storage
from listener.kit.storage import BadKey, BadSignature, LocalStorage, ObjectNotFound, StorageError
from listener.kit.storage_http import routes

from .conftest import names, until

GOOD_KEYS = [
    "film.mp4",
    "user/job/film.mp4",
    "a b (1)+c.png",
    "100%.png",
    "bücher/日本.txt",
    ".hidden",
    "a..b",
]
BAD_KEYS = {
    "": "segment",
    "/etc/passwd": "segment",
    "a//b": "segment",
    "a/": "segment",
    "..": "segment",
    "a/../../b": "segment",
    "./a": "segment",
    "a\\..\\b": "backslash",
    "a\x00.mp4": "control",
    "a\nb": "control",
    "a\x7f": "control",
    "\udcff": "control",
    "%2e%2e/b": "percent",
    "a%2Fb": "percent",
    "a/\uff0e\uff0e/b": "NFKC",  # full-width dots become '..'
    "ﬁlm": "NFKC",
    "u\u0308": "NFKC",
    "é" * 513: "1024 bytes",
}


@pytest.fixture
def local(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root", "http://127.0.0.1:1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "job-7"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("key", GOOD_KEYS)
async def test_what_was_uploaded_comes_back(local: LocalStorage, folder: Path, key: str) -> None:
    (folder / "film.mp4").write_bytes(b"moving pictures")
    await local.upload("exports", folder / "film.mp4", key)
    assert (await local.download("exports", key, folder)).read_bytes() == b"moving pictures"


@pytest.mark.parametrize(("key", "rule"), BAD_KEYS.items(), ids=[ascii(key)[:20] for key in BAD_KEYS])
async def test_keys_that_could_mean_something_else_are_refused(
    local: LocalStorage, folder: Path, key: str, rule: str
) -> None:
    (folder / "film.mp4").touch()
    with pytest.raises(BadKey, match=rule):
        await local.download("exports", key, folder)
    with pytest.raises(BadKey, match=rule):
        await local.upload("exports", folder / "film.mp4", key)
    with pytest.raises(BadKey, match=rule):
        await local.remove("exports", key)
    with pytest.raises(BadKey, match=rule):
        await local.url("exports", key)


@pytest.mark.parametrize(
    "bucket", ["", ".", "..", ".secret", ".incoming", "a/b", "a\\b", "b\n", "ü", "x" * 101]
)
async def test_buckets_are_plain_names(local: LocalStorage, folder: Path, bucket: str) -> None:
    with pytest.raises(BadKey, match="is not a bucket name"):
        await local.download(bucket, "film.mp4", folder)


async def test_a_name_that_no_file_can_have(local: LocalStorage, folder: Path) -> None:
    with pytest.raises(BadKey, match="longer than 255 bytes"):
        await local.download("exports", "x" * 256, folder)


async def test_symbolic_links_lead_nowhere(local: LocalStorage, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    bucket = tmp_path / "root" / "uploads"
    bucket.mkdir()
    (bucket / "file.txt").symlink_to(tmp_path / "secret.txt")
    (bucket / "folder").symlink_to(tmp_path)
    (bucket / "up").symlink_to(tmp_path / "root")
    for key in ("file.txt", "folder/secret.txt", "up/.secret"):
        with pytest.raises(BadKey, match="leads out of its bucket"):
            await local.download("uploads", key, folder)
        with pytest.raises(BadKey, match="leads out of its bucket"):
            await local.upload("uploads", tmp_path / "secret.txt", key)


async def test_a_download_keeps_only_a_plain_suffix(
    local: LocalStorage, folder: Path, tmp_path: Path
) -> None:
    (folder / "source").write_bytes(b"x")
    for key, suffix in {"a/Film.MP4": ".mp4", "b.tar.gz": ".gz", "-i": "", "c.m p4": "", "d.": ""}.items():
        await local.upload("uploads", folder / "source", key)
        path = await local.download("uploads", key, tmp_path)
        assert (path.parent, path.suffix) == (tmp_path, suffix)
        assert path.stem.isalnum()


async def test_an_object_that_is_not_there_yet(local: LocalStorage, folder: Path) -> None:
    with pytest.raises(ObjectNotFound, match=r"There is no object 'a/b\.json' in bucket 'exports'"):
        await local.download("exports", "a/b.json", folder)
    (folder / "x").touch()
    await local.upload("exports", folder / "x", "a/b.json")
    with pytest.raises(ObjectNotFound):
        await local.download("exports", "a", folder)
    assert names(folder) == ["x"]


async def test_a_second_upload_replaces_the_first_and_remove_is_quiet(
    local: LocalStorage, folder: Path
) -> None:
    for text in ("first", "second"):
        (folder / "result.txt").write_text(text)
        await local.upload("exports", folder / "result.txt", "result.txt")
    assert (await local.download("exports", "result.txt", folder)).read_text() == "second"
    await local.remove("exports", "result.txt")
    await local.remove("exports", "result.txt")
    with pytest.raises(ObjectNotFound):
        await local.download("exports", "result.txt", folder)


async def test_a_failed_upload_leaves_the_old_object_and_no_litter(
    local: LocalStorage, folder: Path, tmp_path: Path
) -> None:
    (folder / "a").write_text("old")
    await local.upload("exports", folder / "a", "a")
    with pytest.raises(StorageError, match="gone could not be stored: No such file"):
        await local.upload("exports", folder / "gone", "a")
    with pytest.raises(StorageError, match="a could not be stored"):
        await local.upload("exports", folder / "a", "a/b")  # a is a file, not a folder
    assert (await local.download("exports", "a", folder)).read_text() == "old"
    assert names(tmp_path / "root" / ".incoming") == []


async def test_big_objects_stream(local: LocalStorage, folder: Path) -> None:
    size = 300 * 1024**2
    with (folder / "big.mp4").open("wb") as big:
        big.truncate(size)
    tracemalloc.start()
    try:
        await local.upload("exports", folder / "big.mp4", "big.mp4")
        (folder / "big.mp4").unlink()
        path = await local.download("exports", "big.mp4", folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == size
    assert peak < 8 * 1024**2
    path.unlink()
    await local.remove("exports", "big.mp4")


async def test_handlers_use_the_chosen_storage(
    local: LocalStorage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_current", None)
    with pytest.raises(StorageError, match="No storage is configured"):
        storage.current()
    storage.use(local)
    picture = folder / "thumbnail.jpg"
    picture.write_bytes(b"picture")
    url = await storage.upload("thumbs", picture)
    assert urlsplit(url).path == "/storage/thumbs/job-7/thumbnail.jpg"
    assert (await storage.download("thumbs", "job-7/thumbnail.jpg", folder)).read_bytes() == b"picture"


async def test_an_address_serves_the_object_and_ranges_of_it(local: LocalStorage, folder: Path) -> None:
    (folder / "film.mp4").write_bytes(bytes(range(200)))
    await local.upload("exports", folder / "film.mp4", "user/a film.mp4")
    async with serving(local) as client:
        url = await local.url("exports", "user/a film.mp4")
        whole = await client.get(url)
        part = await client.get(url, headers={"Range": "bytes=10-19"})
        head = await client.head(url)
    assert (whole.status_code, whole.content) == (200, bytes(range(200)))
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Content-Disposition"].startswith("inline")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert (head.status_code, head.headers["Content-Length"]) == (200, "200")


async def test_altered_and_expired_addresses_are_forbidden(local: LocalStorage, folder: Path) -> None:
    for key in ("mine.mp4", "other.mp4"):
        (folder / key).write_text(key)
        await local.upload("exports", folder / key, key)
    async with serving(local) as client:
        url = await local.url("exports", "mine.mp4")
        expires = parse_qs(urlsplit(url).query)["expires"][0]
        stale = await local.url("exports", "mine.mp4", expires=timedelta(seconds=-5))
        for bad in (
            url.replace("mine", "other"),
            url.replace("exports", "uploads"),
            url.replace(expires, str(int(expires) + 1)),
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            url.partition("?")[0],
            url + "\u00e9",
        ):
            answer = await client.get(bad)
            assert (answer.status_code, answer.json()["error"][:11]) == (403, "The address")
        answer = await client.get(stale)
        assert (answer.status_code, "has expired" in answer.json()["error"]) == (403, True)
        await local.remove("exports", "mine.mp4")
        answer = await client.get(url)
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": "There is no object 'mine.mp4' in bucket 'exports'."},
        )


async def test_addresses_outlive_a_restart_but_not_the_secret(tmp_path: Path) -> None:
    root = tmp_path / "kept"
    (tmp_path / "a.txt").write_text("a")
    first = LocalStorage(root, "http://x")
    await first.upload("exports", tmp_path / "a.txt", "a.txt")
    query = parse_qs(urlsplit(await first.url("exports", "a.txt")).query)
    expires, signature = int(query["expires"][0]), query["signature"][0]

    again = LocalStorage(root, "http://y")
    assert again.open_signed("exports", "a.txt", expires, signature).read_text() == "a"
    assert (root / ".secret").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadSignature):
        LocalStorage(root, "http://y", secret=b"other").open_signed("exports", "a.txt", expires, signature)


@asynccontextmanager
async def serving(local: LocalStorage) -> AsyncIterator[httpx.AsyncClient]:
    """Make the addresses of a storage really answer, on a free port."""
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
