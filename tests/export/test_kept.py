"""What a failed attempt leaves for the next one, and what it doesn't."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from handlers.export.kept import kept
from handlers.export.model import FilmError


def leave(parent: Path, job: str, error: Exception) -> Path:
    """The folder of an attempt that wrote a file and failed."""
    with suppress(type(error)), kept(parent, job) as folder:
        (folder / "slice.mp4").write_bytes(b"made")
        raise error
    return folder


def test_the_next_attempt_finds_what_a_failed_one_made(tmp_path: Path) -> None:
    folder = leave(tmp_path, "a", OSError("the disk is full"))

    with kept(tmp_path, "b") as other:
        assert list(other.glob("*.mp4")) == []
    with kept(tmp_path, "a") as again:
        assert again == folder
        assert (again / "slice.mp4").read_bytes() == b"made"
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_can_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    leave(tmp_path, "a", FilmError("it is too long"))

    assert list(tmp_path.iterdir()) == []


def test_two_attempts_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with kept(tmp_path, "a") as one, kept(tmp_path, "a") as other:
        assert one != other


def test_what_nobody_came_back_for_is_removed_after_a_day(tmp_path: Path) -> None:
    old, young = leave(tmp_path, "old", OSError()), leave(tmp_path, "young", OSError())
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))

    with kept(tmp_path, "other"):
        assert not old.exists()
        assert young.exists()


def test_a_link_that_somebody_put_there_is_not_followed(tmp_path: Path) -> None:
    with kept(tmp_path, "a") as folder:
        pass
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)

    with kept(tmp_path, "a") as chosen:
        (chosen / "slice.mp4").write_bytes(b"made")
        assert list(elsewhere.iterdir()) == []
