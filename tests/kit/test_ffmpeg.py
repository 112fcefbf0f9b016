"""Real FFmpeg runs: what counts, what doesn't, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import psutil
import pytest

from listener.kit import ffmpeg
from listener.kit.ffmpeg import FfmpegError
from tests.support.harness import until

from .conftest import copy, names

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-f", "null", "-"]


def children(parent: int | None = None) -> list[psutil.Process]:
    """FFmpeg processes that are at work for `parent` (this process by default)."""
    found = []
    for child in psutil.Process(parent).children():
        with suppress(psutil.NoSuchProcess):
            if "ffmpeg" in child.name() and "-progress" in child.cmdline():
                found.append(child)
    return found


async def started(parent: int | None = None) -> psutil.Process:
    await until(lambda: len(children(parent)) == 1)
    return children(parent)[0]


async def test_a_render_tells_its_progress_and_counts(tmp_path: Path) -> None:
    seen: list[tuple[float, str | None]] = []
    finished = await ffmpeg.run(
        ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=2", "-pix_fmt", "yuv420p", tmp_path / "film.mp4"],
        frames=60,
        on_progress=lambda percent, message: seen.append((percent, message)),
    )
    assert finished.frames == 60
    # Frames are exact; the time is that of the last packet written, which older versions order by decoding time.
    assert finished.duration == pytest.approx(2.0, abs=0.11)
    assert (tmp_path / "film.mp4").stat().st_size > 1000
    assert seen[-1][0] == 100.0
    assert [percent for percent, _ in seen] == sorted(percent for percent, _ in seen)


async def test_without_a_total_only_the_end_is_told(film: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    await ffmpeg.run(
        ["-i", film, "-frames:v", "1", "-update", "1", tmp_path / "thumbnail.jpg"],
        on_progress=lambda percent, _: seen.append(percent),
    )
    assert seen == [100.0]


async def test_sound_has_progress_by_time(tmp_path: Path) -> None:
    seen: list[float] = []
    finished = await ffmpeg.run(
        ["-f", "lavfi", "-i", "sine=d=2", tmp_path / "sound.wav"],
        duration=2.0,
        on_progress=lambda percent, _: seen.append(percent),
    )
    assert (finished.frames, finished.duration, seen[-1]) == (0, 2.0, 100.0)


async def test_a_failure_is_one_sentence_without_folders(tmp_path: Path) -> None:
    broken = tmp_path / "in0.bin"
    broken.write_text("not a film")
    with pytest.raises(FfmpegError) as caught:
        await ffmpeg.run(["-i", broken, tmp_path / "out.mp4"])
    assert (caught.value.reason, caught.value.permanent) == ("exit", True)
    assert "Invalid data found when processing input" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "in0.bin" in caught.value.stderr
    assert str(tmp_path) not in caught.value.stderr + str(caught.value)


async def test_a_playlist_named_mp4_opens_nothing(film: Path, tmp_path: Path) -> None:
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{film}\n#EXT-X-ENDLIST\n"
    copy(film, tmp_path / film.name)
    for text in (hls, f"ffconcat version 1.0\nfile {film.name}\n"):
        playlist = tmp_path / "playlist.mp4"
        playlist.write_text(text)
        with pytest.raises(FfmpegError):
            await ffmpeg.run([*ffmpeg.input_options(), "-i", playlist, tmp_path / "out.mp4"])
    for address in (f"concat:{film}", f"subfile,,start,0,end,0,,:{film}", "http://127.0.0.1:9/film.mp4"):
        with pytest.raises(FfmpegError, match=r"whitelist|Invalid argument|Protocol not found"):
            await ffmpeg.run([*ffmpeg.input_options(), "-i", address, tmp_path / "out.mp4"])


async def test_input_options_let_real_media_in_but_no_huge_picture(
    media_folder: Path, tmp_path: Path
) -> None:
    for name in names(media_folder):
        await ffmpeg.run([*ffmpeg.input_options(), "-i", media_folder / name, "-f", "null", "-"])
    with pytest.raises(FfmpegError, match="exceeds specified max pixel count 1000"):
        await ffmpeg.run(
            [*ffmpeg.input_options(max_pixels=1000), "-i", media_folder / "picture.png", "-f", "null", "-"]
        )


async def test_stopped_ffmpeg_counts_as_stalled() -> None:
    caught: list[FfmpegError] = []

    async def render() -> None:
        try:
            await ffmpeg.run(ENDLESS, stall=1.0)
        except FfmpegError as error:
            caught.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(render)
        (await started()).send_signal(signal.SIGSTOP)
    assert [error.reason for error in caught] == ["stalled"]
    assert str(caught[0]) == "ffmpeg made no progress for 1 s; it was stopped."
    assert children() == []


async def test_slow_is_not_stalled() -> None:
    finished = await ffmpeg.run(
        ["-re", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=3", "-f", "null", "-"], stall=2.0
    )
    assert (finished.frames, finished.elapsed > 2.0) == (75, True)


async def test_cancellation_leaves_no_process() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ffmpeg.run, ENDLESS)
        child = await started()
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
        tasks.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


async def test_a_stopped_ffmpeg_can_be_cancelled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.kit.sandbox.process.GRACE_SECONDS", 0.2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ffmpeg.run, ENDLESS)
        child = await started()
        child.send_signal(signal.SIGSTOP)  # SIGTERM waits for SIGCONT, SIGKILL doesn't
        tasks.cancel_scope.cancel()
    assert not child.is_running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_playable_but_truncated_film_does_not_count(tmp_path: Path, number: signal.Signals) -> None:
    caught: list[FfmpegError] = []
    source = ["-re", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-pix_fmt", "yuv420p"]

    async def render() -> None:
        try:
            await ffmpeg.run([*source, "-f", "matroska", tmp_path / "film.mkv"], frames=9999)
        except FfmpegError as error:
            caught.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(render)
        child = await started()
        await until((tmp_path / "film.mkv").exists)
        child.send_signal(number)
    assert [error.reason for error in caught] == ["killed"]


async def test_a_run_that_needs_too_much_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.kit.ffmpeg.api._memory", ffmpeg.MEMORY)
    ffmpeg.limit_memory(256 * 1024**2)
    huge = ["-f", "lavfi", "-i", "color=s=640x360:d=3", "-vf", "scale=16000:8000", "-f", "null", "-"]
    with pytest.raises(FfmpegError, match=r"more memory than the 256 MB .* \(FFMPEG_MEMORY_MB\)") as caught:
        await ffmpeg.run(huge)
    assert (caught.value.reason, caught.value.permanent) == ("memory", False)


async def test_a_full_disk_is_not_the_fault_of_the_run() -> None:
    with pytest.raises(FfmpegError, match="the disk is full") as caught:
        await ffmpeg.run(["-f", "lavfi", "-i", "testsrc2=s=320x240:d=1", "-f", "rawvideo", "/dev/full"])
    assert (caught.value.reason, caught.value.permanent) == ("disk", False)


async def test_a_file_that_grows_too_large_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(FfmpegError, match="grew larger than allowed") as caught:
        await ffmpeg.run(
            ["-f", "lavfi", "-i", "sine=d=60", "-f", "wav", tmp_path / "out.wav"], max_bytes=100_000
        )
    assert (caught.value.reason, caught.value.permanent) == ("size", True)
    assert (tmp_path / "out.wav").stat().st_size <= 100_000


async def test_a_run_that_takes_too_much_processor_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.kit.ffmpeg.api.CPU_SECONDS", 1)
    endless = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-f", "null", "-"]
    with pytest.raises(FfmpegError, match="more processor time than allowed") as caught:
        await ffmpeg.run(endless)
    assert (caught.value.reason, caught.value.permanent) == ("cpu", True)


async def test_a_good_exit_code_alone_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = tmp_path / "hasty"
    hasty.write_text("#!/bin/sh\nprintf 'frame=3\\nprogress=continue\\n'\n")
    hasty.chmod(0o755)
    monkeypatch.setenv("LISTENER_FFMPEG", str(hasty))
    with pytest.raises(FfmpegError, match="before its output was complete") as caught:
        await ffmpeg.run(["film.mp4"])
    assert caught.value.reason == "incomplete"


async def test_an_error_of_the_callback_arrives_as_it_was_raised() -> None:
    def refuse(percent: float, message: str | None) -> None:
        raise LookupError("no such job")

    with pytest.raises(LookupError, match="no such job"):
        await ffmpeg.run(ENDLESS, frames=9999, on_progress=refuse)
    assert children() == []


async def test_ffmpeg_dies_with_its_parent_on_kill_9() -> None:
    program = f"import anyio; from listener.kit import ffmpeg; anyio.run(ffmpeg.run, {ENDLESS!r})"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:  # noqa: ASYNC220 - returns at once
        try:
            child = await started(parent.pid)
            child.send_signal(signal.SIGSTOP)  # it can't even notice that its pipe is broken
        finally:
            parent.kill()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_ffmpeg_sees_no_secret_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "canary")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ffmpeg.run, ENDLESS)
        child = await started()
        assert set(child.environ()) <= {"PATH", "LANG"}
        tasks.cancel_scope.cancel()


def test_the_binary_is_chosen_by_name_then_path_then_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LISTENER_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "imageio_ffmpeg" in str(ffmpeg.binary())
    on_path = tmp_path / "ffmpeg"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    assert ffmpeg.binary() == on_path
    monkeypatch.setenv("LISTENER_FFMPEG", str(tmp_path / "nowhere"))
    with pytest.raises(FfmpegError, match=r"LISTENER_FFMPEG names .*nowhere.* correct or unset it") as caught:
        ffmpeg.binary()
    assert caught.value.reason == "missing"
