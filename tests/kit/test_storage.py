"""Every storage: keys without a second meaning, whole objects, streams, addresses, and results of attempts."""

from __future__ import annotations

import re
import tracemalloc
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from listener.errors import LeaseLost
from listener.kit import storage
from listener.kit.storage import BadKey, LocalStorage, ObjectNotFound, Storage, StorageError, TooLarge

from .conftest import documented, names, serving

GOOD_NAMES = ["film.mp4", "a b (1)+c.png", "&$@=;:,?!.txt", ".hidden", "a..b"]
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


async def test_what_was_uploaded_comes_back(files: Storage, folder: Path) -> None:
    keys = sorted(f"user/job/{name}" for name in GOOD_NAMES)
    for key in keys:
        (folder / "film.mp4").write_bytes(key.encode())
        await files.upload("exports", folder / "film.mp4", key)
    assert await files.keys("exports", "user/job") == keys
    for key in keys:
        assert (await files.download("exports", key, folder)).read_bytes() == key.encode()


async def test_every_documented_character_works_in_every_place_of_a_key(files: Storage, folder: Path) -> None:
    (folder / "x").write_bytes(b"content")
    special = [char for char in documented() if not char.isalnum()]
    keys = sorted(
        {f"all/{documented()}", f"{documented()}/in a folder"}
        | {f"user/{name}" for char in special for name in (f"{char}b", f"a{char}b", f"a{char}", char)}
        - {"user/."}  # a segment with a meaning, which is refused
    )
    async with serving(files) if isinstance(files, LocalStorage) else httpx.AsyncClient() as browser:
        for key in keys:
            await files.upload("exports", folder / "x", key)
        listed = [
            key for place in ("all", "user", documented()) for key in await files.keys("exports", place)
        ]
        assert sorted(listed) == keys
        for key in keys:
            assert (await files.download("exports", key, folder)).read_bytes() == b"content", key
            address = await files.url("exports", key)
            assert re.fullmatch(r"[!-~]+", address), address
            urllib.request.Request(address)
            answer = await browser.get(address)
            assert (answer.status_code, answer.content) == (200, b"content"), key
            await files.remove("exports", key)
            with pytest.raises(ObjectNotFound):
                await files.download("exports", key, folder)


async def test_keys_that_could_mean_something_else_are_refused(files: Storage, folder: Path) -> None:
    (folder / "film.mp4").touch()
    for key, rule in BAD_KEYS.items():
        with pytest.raises(BadKey, match=rule):
            await files.download("exports", key, folder)
        with pytest.raises(BadKey, match=rule):
            await files.upload("exports", folder / "film.mp4", key)
        with pytest.raises(BadKey, match=rule):
            await files.remove("exports", key)
        with pytest.raises(BadKey, match=rule):
            await files.url("exports", key)
        with pytest.raises(BadKey, match=rule):
            await files.keys("exports", key)


async def test_buckets_are_plain_names(files: Storage, folder: Path) -> None:
    for bucket in ("", ".", "..", ".secret", ".incoming", "a/b", "a\\b", "b\n", "ü", "x" * 101):
        with pytest.raises(BadKey, match="is not a bucket name"):
            await files.download(bucket, "film.mp4", folder)


async def test_a_download_keeps_only_a_plain_suffix(files: Storage, folder: Path, tmp_path: Path) -> None:
    (folder / "source").write_bytes(b"x")
    for key, suffix in {"a/Film.MP4": ".mp4", "b.tar.gz": ".gz", "-i": "", "c.m p4": "", "d.": ""}.items():
        await files.upload("uploads", folder / "source", key)
        path = await files.download("uploads", key, tmp_path)
        assert (path.parent, path.suffix) == (tmp_path, suffix)
        assert path.stem.isalnum()


async def test_an_object_that_is_too_large_is_given_up(files: Storage, folder: Path, tmp_path: Path) -> None:
    (folder / "x").write_bytes(bytes(3_000_000))
    await files.upload("exports", folder / "x", "x")
    (folder / "x").unlink()
    with pytest.raises(TooLarge, match="larger than the 2999999 bytes"):
        await files.download("exports", "x", folder, max_bytes=2_999_999)
    assert names(folder) == []
    assert (await files.download("exports", "x", folder, max_bytes=3_000_000)).stat().st_size == 3_000_000


async def test_an_object_that_is_not_there_yet(files: Storage, folder: Path) -> None:
    with pytest.raises(ObjectNotFound, match=r"There is no object 'a/b\.json' in bucket 'exports'"):
        await files.download("exports", "a/b.json", folder)
    (folder / "x").touch()
    await files.upload("exports", folder / "x", "a/b.json")
    with pytest.raises(ObjectNotFound):
        await files.download("exports", "a", folder)
    assert names(folder) == ["x"]


async def test_a_bucket_that_is_not_there(files: Storage, folder: Path) -> None:
    with pytest.raises(ObjectNotFound):
        await files.download("nowhere", "a", folder)
    await files.remove("nowhere", "a")
    assert await files.keys("nowhere", "a") == []


async def test_a_second_upload_replaces_the_first_and_remove_is_quiet(files: Storage, folder: Path) -> None:
    for text in ("first", "second", ""):
        (folder / "result.txt").write_text(text)
        await files.upload("exports", folder / "result.txt", "result.txt")
        assert (await files.download("exports", "result.txt", folder)).read_text() == text
    await files.remove("exports", "result.txt")
    await files.remove("exports", "result.txt")
    with pytest.raises(ObjectNotFound):
        await files.download("exports", "result.txt", folder)


async def test_a_file_that_can_not_be_read_leaves_the_old_object(files: Storage, folder: Path) -> None:
    (folder / "a").write_text("old")
    await files.upload("exports", folder / "a", "a")
    with pytest.raises(StorageError, match="gone could not be stored: No such file"):
        await files.upload("exports", folder / "gone", "a")
    assert (await files.download("exports", "a", folder)).read_text() == "old"


async def test_the_keys_of_a_folder(files: Storage, folder: Path) -> None:
    (folder / "x").touch()
    for key in ("u/j/b.mp4", "u/j/a.mp4", "u/j/deep/c.mp4", "u/jj/d.mp4", "u/e.mp4"):
        await files.upload("exports", folder / "x", key)
    assert await files.keys("exports", "u/j") == ["u/j/a.mp4", "u/j/b.mp4"]
    assert await files.keys("exports", "u/nobody") == []
    assert await files.keys("uploads", "u/j") == []


async def test_an_address_serves_the_object_with_its_type(files: Storage, folder: Path) -> None:
    (folder / "film").write_bytes(bytes(range(200)))
    async with serving(files) if isinstance(files, LocalStorage) else httpx.AsyncClient() as browser:
        for key, kind in {"user/a film.mp4": "video/mp4", "user/unknown": "application/octet-stream"}.items():
            await files.upload("exports", folder / "film", key)
            url = await files.url("exports", key, expires=timedelta(hours=1))
            whole = await browser.get(url)
            assert (whole.status_code, whole.content) == (200, bytes(range(200)))
            assert whole.headers["Content-Type"] == kind


@pytest.mark.parametrize(
    "files", ["local", "supabase"], indirect=True
)  # the library for S3 allocates elsewhere
async def test_big_objects_stream(files: Storage, folder: Path) -> None:
    with (folder / "big.mp4").open("wb") as big:
        big.truncate(100 * 1024**2)
        big.write(b"begin")
    tracemalloc.start()
    try:
        await files.upload("exports", folder / "big.mp4", "big.mp4")
        path = await files.download("exports", "big.mp4", folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.read_bytes() == (folder / "big.mp4").read_bytes()
    assert peak < 32 * 1024**2


async def test_handlers_use_the_chosen_storage(
    files: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.kit.storage.api._current", None)
    with pytest.raises(StorageError, match="No storage is configured"):
        storage.current()
    storage.use(files)
    picture = folder / "thumbnail.jpg"
    picture.write_bytes(b"picture")
    url = await storage.upload("thumbs", picture)
    assert urlsplit(url).path.endswith("thumbs/job-7/thumbnail.jpg")
    assert (await storage.download("thumbs", "job-7/thumbnail.jpg", folder)).read_bytes() == b"picture"


class Memory:
    """A job's checkpoint, which forgets nothing but is closed when the lease is lost."""

    def __init__(self) -> None:
        self.saved: Any = None
        self.lost = False

    async def remember(self, value: dict[str, Any]) -> None:
        if self.lost:
            raise LeaseLost("taken over")
        self.saved = value


@pytest.fixture
def film(folder: Path) -> Path:
    film = folder / "film.mp4"
    film.write_bytes(b"moving pictures")
    return film


@pytest.fixture
async def chosen(files: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr("listener.kit.storage.api._current", files)
    return files


async def test_attempts_share_no_name_and_the_later_one_tidies_up(chosen: Storage, film: Path) -> None:
    for key in ("u/j/film-x.mp4", "u/j/film.mp4", "u/j/poster-1.mp4", "u/j/film-12.mp4"):
        await chosen.upload("exports", film, key)
    first = await storage.publish("exports", film, "u/j/film.mp4", fence=9)
    later = await storage.publish("exports", film, "u/j/film.mp4", fence=10)
    assert urlsplit(first).path.endswith("/u/j/film-9.mp4")
    assert urlsplit(later).path.endswith("/u/j/film-10.mp4")
    assert await chosen.keys("exports", "u/j") == [  # 12 is a later attempt's
        "u/j/film-10.mp4",
        "u/j/film-12.mp4",
        "u/j/film-x.mp4",
        "u/j/film.mp4",
        "u/j/poster-1.mp4",
    ]


async def test_an_attempt_that_has_lost_its_lease_stores_nothing(chosen: Storage, film: Path) -> None:
    memory = Memory()
    await storage.publish("exports", film, "u/j/film.mp4", fence=8, remember=memory.remember)
    memory.lost = True
    with pytest.raises(LeaseLost):
        await storage.publish("exports", film, "u/j/film.mp4", fence=7, remember=memory.remember)
    assert await chosen.keys("exports", "u/j") == ["u/j/film-8.mp4"]


async def test_the_same_film_keeps_the_name_that_it_began_with(chosen: Storage, film: Path) -> None:
    memory = Memory()

    async def again(fence: int) -> str:
        address = await storage.publish(
            "exports", film, "u/j/film.mp4", fence=fence, saved=memory.saved, remember=memory.remember
        )
        return urlsplit(address).path.rpartition("/")[2]

    assert [await again(3), await again(4)] == ["film-3.mp4", "film-3.mp4"]
    await anyio.Path(film).write_bytes(b"other pictures")
    assert await again(5) == "film-5.mp4"
    assert await chosen.keys("exports", "u/j") == ["u/j/film-5.mp4"]
    for stranger in (
        {"anything": 1},
        ["else"],
        {**memory.saved, "bucket": "uploads"},
        {**memory.saved, "key": "x"},
    ):
        memory.saved = stranger
        assert await again(6) == "film-6.mp4"
