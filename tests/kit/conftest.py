"""Small real media, made once by the real FFmpeg."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from listener.kit import ffmpeg

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
    """What a folder holds."""
    return sorted(entry.name for entry in folder.iterdir())


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Return as soon as `condition` holds; fail when it doesn't in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await anyio.sleep(0.02)
