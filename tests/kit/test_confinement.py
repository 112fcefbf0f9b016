"""What children of the service can't do, as far as this kernel is able to forbid it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

import anyio
import pytest

from listener.kit import ffmpeg
from listener.kit.ffmpeg import FfmpegError
from listener.kit.sandbox import _selftest_main as escape
from listener.kit.sandbox.policy import Confinement

from .conftest import copy, names

LANDLOCK = sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, 0, 1) > 0
UNSHARE = "import ctypes; c = ctypes.CDLL(None); exit(c.unshare(0x40000000) and c.unshare(0x50000000) and 1)"
NAMESPACES = sys.platform == "linux" and not subprocess.call([sys.executable, "-c", UNSHARE])


async def test_nothing_is_possible_that_the_kernel_can_forbid() -> None:
    impossible = {"read files", "write files"} if LANDLOCK else set()
    impossible |= {"use the network"} if NAMESPACES else set()
    assert set(await escape.ways()) == {"read files", "write files", "use the network"} - impossible


async def test_what_is_shown_can_be_used() -> None:
    temporary = Path(tempfile.gettempdir())
    assert "read files" in await escape.ways(Confinement(reads=(temporary,)))
    assert {"read files", "write files"} <= set(await escape.ways(Confinement(writes=(temporary,))))


async def test_ffmpeg_sees_its_inputs_and_no_other_file(film: Path, tmp_path: Path) -> None:
    shown, hidden = tmp_path / "shown", tmp_path / "hidden"
    shown.mkdir()
    hidden.mkdir()
    inside, outside = copy(film, shown / "film.mp4"), copy(film, hidden / "film.mp4")
    await ffmpeg.run(["-i", inside, "-f", "null", "-"])
    await ffmpeg.run(["-f", "lavfi", "-i", "movie=film.mp4", "-f", "null", "-"], cwd=shown)
    with pytest.raises(FfmpegError, match="Permission denied") if LANDLOCK else nullcontext():
        await ffmpeg.run(["-f", "lavfi", "-i", f"movie={outside}", "-f", "null", "-"], cwd=shown)


async def test_ffmpeg_writes_beside_its_output_and_nowhere_else(film: Path, tmp_path: Path) -> None:
    work, other = tmp_path / "work", tmp_path / "other"
    work.mkdir()
    other.mkdir()
    await ffmpeg.run(["-i", film, "-c", "copy", work / "out.mp4"])
    tee = f"[f=mp4]{work}/a.mp4|[f=mp4]{other}/b.mp4"
    with suppress(FfmpegError):  # of one of the two, which some versions take lightly
        await ffmpeg.run(["-i", film, "-c", "copy", "-map", "0", "-f", "tee", tee], cwd=work)
    assert names(other) == ([] if LANDLOCK else ["b.mp4"])


async def test_ffmpeg_has_no_network(tmp_path: Path) -> None:
    asked = []

    async def answer(stream: anyio.abc.SocketStream) -> None:
        asked.append(await stream.receive())
        await stream.aclose()

    server = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with server, anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, answer)
        port = server.extra(anyio.abc.SocketAttribute.local_port)
        with pytest.raises(FfmpegError):
            await ffmpeg.run(["-i", f"http://127.0.0.1:{port}/film.mp4", "-f", "null", "-"], cwd=tmp_path)
        tasks.cancel_scope.cancel()
    assert asked == [] or not NAMESPACES
