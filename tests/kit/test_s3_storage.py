"""Objects in an S3 storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from listener.kit.storage import Refused, StorageError
from listener.kit.storage.s3 import S3Storage

from .conftest import names


@pytest.fixture
def locked(moto: str, s3: S3Storage) -> Iterator[S3Storage]:
    """The storage asks for keys that exist."""
    httpx.post(f"{moto}/moto-api/reset-auth", content=b"0").raise_for_status()
    yield s3
    httpx.post(f"{moto}/moto-api/reset-auth", content=b"inf").raise_for_status()


async def test_files_of_several_parts_come_back(s3: S3Storage, folder: Path) -> None:
    (folder / "film.mp4").write_bytes(os.urandom(20_000_001))
    await s3.upload("exports", folder / "film.mp4", "100%/bücher/日本.mp4")
    path = await s3.download("exports", "100%/bücher/日本.mp4", folder)
    assert path.read_bytes() == (folder / "film.mp4").read_bytes()
    assert len(names(folder)) == 2


async def test_a_bucket_that_is_missing(s3: S3Storage, folder: Path) -> None:
    (folder / "film.mp4").touch()
    with pytest.raises(Refused, match="There is no bucket 'nowhere'; make it first"):
        await s3.upload("nowhere", folder / "film.mp4", "film.mp4")


async def test_a_wrong_key_is_the_operators_to_mend(locked: S3Storage, folder: Path) -> None:
    (folder / "film.mp4").touch()
    with pytest.raises(StorageError, match="Check S3_ACCESS_KEY_ID") as caught:
        await locked.upload("exports", folder / "film.mp4", "film.mp4")
    assert not isinstance(caught.value, Refused)


async def test_a_server_that_is_away(folder: Path) -> None:
    gone = S3Storage("http://127.0.0.1:1", "key-id", "hidden", "us-east-1", patience=0.1)
    with pytest.raises(StorageError, match="could not be reached") as caught:
        await gone.download("exports", "film.mp4", folder)
    assert "hidden" not in f"{caught.value!r} {caught.value.__context__!r}"
    assert names(folder) == []
