"""Fetching media to the local disk, and the error sentences when that fails."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from handlers.export.intake.sources import BUCKET, collect
from handlers.export.model import FilmError, MediaItem
from listener.kit import storage
from listener.kit.fetch import FetchError

OWNER = "6e4a1c6e-user"


@pytest.fixture
def store(tmp_path: Path) -> storage.LocalStorage:
    local = storage.LocalStorage(tmp_path / "storage", "http://127.0.0.1")
    storage.use(local)
    return local


@pytest.fixture
async def server(shelf: dict[str, Path]) -> AsyncIterator[str]:
    """A web server that has one file, /teal.png."""

    picture = shelf["teal"].read_bytes()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body, status = (picture, "200 OK") if b" /teal.png" in request else (b"", "404 Not Found")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


async def test_media_from_the_storage_from_data_and_from_the_web(
    store: storage.LocalStorage, server: str, shelf: dict[str, Path], tmp_path: Path
) -> None:
    key = f"{OWNER}/media/clip.mp4"
    await store.upload(BUCKET, shelf["red"], key)
    inline = base64.b64encode(shelf["disc"].read_bytes()).decode()
    items = {
        "stored": MediaItem("clip", key),
        "inline": MediaItem("disc", f"data:image/png;base64,{inline}"),
        "remote": MediaItem("teal", f"http://{server}/teal.png?token=secret"),
    }
    folder = tmp_path / "work"
    folder.mkdir()
    found = await collect(items, folder, owner=OWNER, allow=[server])

    assert set(found) == set(items)
    assert sorted(path.name for path in folder.iterdir()) == ["in0.bin", "in1.bin", "in2.bin"]
    assert found["stored"].media.audio is None
    pictures = [found[key].media.video for key in ("inline", "remote")]
    assert [picture and picture.has_alpha for picture in pictures] == [True, False]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("someone-else/media/a.mp4", "The media “clip” does not lie in this user's folder"),
        ("/etc/passwd", "The media “clip” does not lie in this user's folder"),
        ("", "The media “clip” does not lie in this user's folder"),
        ("file:///etc/passwd", "The media “clip” does not lie in this user's folder"),
        ("concat:a|b", "The media “clip” does not lie in this user's folder"),
        (f"{OWNER}/../someone-else/a.mp4", "The media “clip” is not in the storage"),
        (f"{OWNER}/nothing.mp4", "The media “clip” is not in the storage"),
        (f"{OWNER}/list.mp4", "The media “clip” can't be used: it "),
        (f"{OWNER}/empty.mp4", "The media “clip” can't be used: it is empty"),
    ],
)
async def test_media_that_cannot_be_used_are_named(
    url: str, sentence: str, store: storage.LocalStorage, tmp_path: Path
) -> None:
    playlist = tmp_path / "playlist"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    await store.upload(BUCKET, playlist, f"{OWNER}/list.mp4")
    (tmp_path / "nil").touch()
    await store.upload(BUCKET, tmp_path / "nil", f"{OWNER}/empty.mp4")

    with pytest.raises(FilmError) as caught:
        await collect({"a": MediaItem("clip", url)}, tmp_path, owner=OWNER)

    assert str(caught.value).startswith(sentence)


async def test_media_that_cannot_be_fetched_are_named_without_their_token(
    server: str, tmp_path: Path
) -> None:
    item = MediaItem("clip", f"http://{server}/missing.mp4?token=secret")

    with pytest.raises(FetchError, match="The media “clip” could not be fetched") as caught:
        await collect({"a": item}, tmp_path, owner=OWNER, allow=[server])

    assert caught.value.permanent
    assert "secret" not in str(caught.value)


async def test_private_addresses_are_not_fetched(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="The media “clip” could not be fetched"):
        await collect({"a": MediaItem("clip", f"http://{server}/teal.png")}, tmp_path, owner=OWNER)
