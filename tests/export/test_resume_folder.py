"""The folder in which a failed attempt leaves finished segments for the next one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from handlers.export.render.resume_folder import remove_idle_folders, resume_folder
from listener import Fail


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the folders lie, in a separate TEMP_DIR for each test."""
    monkeypatch.setenv("TEMP_DIR", str(tmp_path))
    return tmp_path / f"listener-resume-{os.getuid()}"


async def leave(job: str, error: Exception) -> Path:
    """The folder of an attempt that wrote a file and failed."""
    with suppress(type(error)):
        async with resume_folder(job) as folder:
            assert folder
            (folder / "segment.mp4").write_bytes(b"made")
            raise error
    assert folder
    return folder


def open_to_all(root: Path) -> None:
    root.chmod(0o777)


def left(root: Path) -> list[Path]:
    return list(root.iterdir())


async def test_the_next_attempt_finds_what_a_failed_one_made(root: Path) -> None:
    folder = await leave("a", OSError("the disk is full"))

    async with resume_folder("b") as other:
        assert other
        assert list(other.glob("*.mp4")) == []
    async with resume_folder("a") as again:
        assert again == folder
        assert (again / "segment.mp4").read_bytes() == b"made"
    assert left(root) == []


async def test_a_film_that_can_not_be_made_leaves_nothing(root: Path) -> None:
    await leave("a", Fail("it is too long"))

    assert left(root) == []


async def test_two_attempts_at_once_do_not_share_a_folder() -> None:
    async with resume_folder("a") as one, resume_folder("a") as other:
        assert one
        assert other is None


async def test_what_nobody_came_back_for_is_removed() -> None:
    old, young, busy = [await leave(job, OSError()) for job in ("old", "young", "busy")]
    async with resume_folder("busy"):
        yesterday = time.time() - 24 * 3600
        for folder in (old, busy):
            os.utime(folder, (yesterday, yesterday))
        remove_idle_folders()

        assert (old.exists(), young.exists(), busy.exists()) == (False, True, True)


async def test_where_others_may_write_nothing_is_kept(root: Path) -> None:
    await leave("a", OSError())
    open_to_all(root)

    async with resume_folder("a") as folder:
        assert folder is None
