"""Files that rows name: which are brought, which are refused, and that no large file reaches the disk."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from listener.kit import intake, storage
from listener.kit.errors import KitError, TooLarge
from listener.kit.fetch import FetchError
from listener.kit.storage import BadKey, ObjectNotFound, Storage
from listener.kit.storage.local import LocalStorage

from .conftest import names

CONTENT = b"a recording"
INLINE = "data:audio/ogg;base64," + base64.b64encode(CONTENT).decode()


@pytest.fixture(autouse=True)
def stored(files: Storage, tmp_path: Path) -> Iterator[None]:
    """Each storage in turn as the one that the kit's functions use."""
    storage.use(files)
    yield
    storage.use(LocalStorage(tmp_path / "unused", ""))


async def bring(address: str, folder: Path, *, owner: str | None = "ann", max_bytes: int = 100) -> bytes:
    path = await intake.bring(
        address,
        folder / "in.bin",
        bucket="uploads",
        owner=owner,
        max_bytes=max_bytes,
        what="The recording",
    )
    assert path == folder / "in.bin"
    return path.read_bytes()


async def put(files: Storage, tmp_path: Path, key: str, content: bytes = CONTENT) -> None:
    (tmp_path / "source").write_bytes(content)
    await files.upload("uploads", tmp_path / "source", key)


async def test_a_key_and_a_data_url_become_the_named_file(
    files: Storage, folder: Path, tmp_path: Path
) -> None:
    await put(files, tmp_path, "ann/talk.ogg")
    assert await bring("ann/talk.ogg", folder) == CONTENT
    assert await bring(INLINE, folder) == CONTENT
    assert names(folder) == ["in.bin"]


async def test_a_large_file_never_stays_on_the_disk(files: Storage, folder: Path, tmp_path: Path) -> None:
    await put(files, tmp_path, "ann/talk.ogg", bytes(101))
    for address in ("ann/talk.ogg", INLINE):
        with pytest.raises(TooLarge) as raised:
            await bring(address, folder, max_bytes=100 if address != INLINE else len(CONTENT) - 1)
        assert raised.value.permanent
        assert names(folder) == []


async def test_keys_of_others_are_refused(files: Storage, folder: Path, tmp_path: Path) -> None:
    await put(files, tmp_path, "bob/talk.ogg")
    for owner in ("ann", "bo", None):
        with pytest.raises(intake.NotOwned, match=r"^The recording does not lie in this user's folder"):
            await bring("bob/talk.ogg", folder, owner=owner)


async def test_errors_name_the_file_and_say_whether_to_try_again(files: Storage, folder: Path) -> None:
    expected: dict[str, tuple[type[KitError], str, bool]] = {
        "ann/later.ogg": (ObjectNotFound, "is not in the storage: There is no object", False),
        "ann/../bob/talk.ogg": (BadKey, "is not in the storage: .*segment", True),
        "data:audio/ogg;base64,!": (FetchError, "could not be fetched: .*damaged", True),
        "https://127.0.0.1/talk.ogg": (
            FetchError,
            "could not be fetched: .*not on the public internet",
            True,
        ),
    }
    for address, (kind, sentence, permanent) in expected.items():
        with pytest.raises(kind, match=f"^The recording {sentence}") as raised:
            await bring(address, folder)
        assert raised.value.permanent is permanent
    assert names(folder) == []
