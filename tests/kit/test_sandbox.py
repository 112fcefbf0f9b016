"""The things that child processes can and can't do, as far as this kernel enforces it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

import anyio
import pytest

from listener.kit import ffmpeg
from listener.kit.ffmpeg import FfmpegError
from listener.kit.sandbox import Confinement, SandboxError, run_python
from listener.kit.sandbox.selftest import open_ways

from .conftest import copy, names

LANDLOCK = sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, 0, 1) > 0
UNSHARE = "import ctypes; c = ctypes.CDLL(None); exit(c.unshare(0x40000000) and c.unshare(0x50000000) and 1)"
NAMESPACES = sys.platform == "linux" and not subprocess.call([sys.executable, "-c", UNSHARE])


async def test_nothing_is_possible_that_the_kernel_can_forbid() -> None:
    impossible = {"read files", "write files"} if LANDLOCK else set()
    impossible |= {"use the network"} if NAMESPACES else set()
    if sys.platform == "linux" and os.uname().machine in {"x86_64", "aarch64"}:
        impossible |= {"use the network", "connect to Unix sockets", "change the mode or times of files"}
    ways = {"read files", "write files", "use the network", "connect to Unix sockets"}
    assert set(await open_ways()) == (ways | {"change the mode or times of files"}) - impossible


async def test_what_is_shown_can_be_used() -> None:
    temporary = Path(tempfile.gettempdir())
    assert "read files" in await open_ways(Confinement(reads=(temporary,)))
    assert {"read files", "write files"} <= set(await open_ways(Confinement(writes=(temporary,))))


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


MEMORY = 512 * 1024**2


def program(folder: Path, text: str) -> Path:
    """A program `_main.py` in a folder that holds nothing else."""
    (place := folder / "program").mkdir()
    script = place / "_main.py"
    script.write_text(text)
    return script


async def test_a_python_program_reads_writes_and_prints_what_it_is_given(tmp_path: Path) -> None:
    (source := tmp_path / "source").write_text("hello")
    (target := tmp_path / "out").mkdir()
    script = program(
        tmp_path,
        "import sys, pathlib\n"
        "text = pathlib.Path(sys.argv[1]).read_text()\n"
        "pathlib.Path(sys.argv[2], 'copy').write_text(text)\n"
        "print(text); print('ünï')\n",
    )
    lines: list[bytes] = []
    await run_python(
        script,
        [str(source), str(target)],
        reads=[source],
        writes=[target],
        memory=MEMORY,
        max_file_bytes=100,
        on_line=lines.append,
    )
    assert lines == [b"hello", "ünï".encode()]
    assert (target / "copy").read_text() == "hello"


async def test_a_python_program_opens_no_other_file(tmp_path: Path) -> None:
    (secret := tmp_path / "secret").write_text("secret")
    script = program(tmp_path, "import sys; open(sys.argv[1])")
    with pytest.raises(SandboxError, match="PermissionError") if LANDLOCK else nullcontext():
        await run_python(script, [str(secret)], memory=MEMORY)


@pytest.mark.parametrize(
    ("text", "sentence", "code"),
    [
        ("raise SystemExit('no such word')", "_main.py ended with code 1: no such word", 1),
        ("import os; os.abort()", "_main.py ended with code -6: no message", -6),
        ("bytearray(10**10)", "_main.py ended with code 1: MemoryError", 1),
        (
            "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(bytes(101))",
            "_main.py ended with code 1: OSError: .*File too large",
            1,
        ),
        ("import time; time.sleep(60)", "_main.py took longer than 1 s", None),
        ("while True: print('x' * 10**6, end='')", "_main.py printed a line that is too long", None),
    ],
)
async def test_a_python_program_that_fails_says_how(
    text: str, sentence: str, code: int | None, tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    with pytest.raises(SandboxError, match=sentence) as caught:
        await run_python(
            program(tmp_path, text),
            [str(out / "file")],
            writes=[out],
            memory=MEMORY,
            max_file_bytes=100,
            seconds=1 if "sleep" in text else None,
        )
    assert caught.value.code == code
