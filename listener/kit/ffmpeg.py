"""Run FFmpeg as a good child: watched, bounded, told apart in how it failed, and dead when its job is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Literal

import anyio
from anyio import to_thread

from listener.errors import ListenerError
from listener.kit import process
from listener.kit.ffmpeg_output import Progress, ProgressReader, scrub, telling

Reason = Literal["missing", "exit", "killed", "stalled", "incomplete"]

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,wav,mp3,aac,flac,aiff,gif,apng,image2,"
    "png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""Demuxers that untrusted media may use. None of them opens a second file or a network address, as playlists
(hls, concat, dash) and documents (svg) would."""

MAX_PIXELS = 40_000_000
"""Width times height of the largest picture to decode; a 1 MB file can unfold to gigabytes."""

INTERRUPTED = 255  # exit code after SIGTERM or SIGINT; also that of some failures, which say so on stderr

QUIET = ["-hide_banner", "-nostdin", "-y", "-loglevel", "level+warning"]
PROGRESS = ["-progress", "pipe:1", "-stats_period", "0.5"]


class FfmpegError(ListenerError):
    """A run that doesn't count, or no FFmpeg to run.

    Attributes:
        reason: `missing` (no program), `exit` (it failed by itself), `killed` (by a signal), `stalled` (no
            progress for too long), `incomplete` (it ended well without finishing its output).
        stderr: what FFmpeg said last, at most 16 KiB, without folders.
    """

    def __init__(self, message: str, reason: Reason, stderr: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that counts.

    Attributes:
        frames: video frames written.
        duration: seconds of output written.
        elapsed: seconds that it took.
        stderr: warnings, at most 16 KiB, without folders.
    """

    frames: int
    duration: float
    elapsed: float
    stderr: str


def binary() -> Path:
    """The FFmpeg to use: `LISTENER_FFMPEG`, else `ffmpeg` on the PATH, else the one of imageio-ffmpeg.

    Raises:
        FfmpegError: there is none; the text says how to get one.
    """
    if chosen := os.environ.get("LISTENER_FFMPEG"):
        if path := shutil.which(chosen):
            return Path(path).absolute()
        raise FfmpegError(
            f"LISTENER_FFMPEG names {chosen!r}, which is no program; correct or unset it.", "missing"
        )
    if path := shutil.which("ffmpeg"):
        return Path(path).absolute()
    try:
        import imageio_ffmpeg

        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise FfmpegError(
            "There is no ffmpeg on the PATH; install one, or `pip install imageio-ffmpeg`.", "missing"
        ) from None


def input_options(max_pixels: int = MAX_PIXELS) -> list[str]:
    """Arguments to put before each `-i` of a file that somebody else made.

    They keep FFmpeg to local files, to known formats, and to pictures of at most `max_pixels`.
    """
    return ["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-max_pixels", str(max_pixels)]


async def run(
    args: Sequence[str | os.PathLike[str]],
    *,
    frames: int | None = None,
    duration: float | None = None,
    on_progress: Callable[[float, str | None], None] | None = None,
    stall: float = 60.0,
    cwd: Path | None = None,
) -> Finished:
    """Run FFmpeg with `args` until its output is complete.

    Cancellation ends FFmpeg and everything it started before it returns; see `process.spawn`, also for why
    the event loop must not run in a short-lived thread. An existing output file is overwritten, so write to a
    temporary name: a run that fails may leave a playable, short film.

    Args:
        args: arguments after the program's name; write nothing to `pipe:1`, which carries the progress.
        frames: video frames the output will have; preferred for the percentage.
        duration: seconds the output will have; used when `frames` is not known.
        on_progress: called with percent (0 to 100) and a message such as `2.1x, 0:45 left`; with neither
            `frames` nor `duration` only once, at the end.
        stall: seconds without a new frame or a later output time after which the run is killed.
        cwd: working directory.

    Raises:
        FfmpegError: any end but exit code 0 after `progress=end`.
    """
    arguments = [os.fspath(arg) for arg in args]
    command = [str(await to_thread.run_sync(binary)), *QUIET, *PROGRESS, *arguments]
    started = time.monotonic()
    reader, latest = ProgressReader(), Progress()
    async with process.spawn(command, cwd=cwd) as child:
        with anyio.move_on_after(stall) as patience:
            async for chunk in child.stdout:
                for block in reader.feed(chunk):
                    if block.beyond(latest):
                        patience.deadline = anyio.current_time() + stall
                    latest = block
                    percent = block.percent(frames, duration)
                    if on_progress is not None and percent is not None:
                        on_progress(percent, block.message(percent, time.monotonic() - started))
            await child.wait()
        if patience.cancelled_caught:
            child.signal(SIGKILL)
    stderr = scrub(child.stderr, _folders(arguments, cwd))
    if patience.cancelled_caught:
        raise FfmpegError(f"ffmpeg made no progress for {stall:g} s; it was stopped.", "stalled", stderr)
    _verify(child.returncode or 0, latest, stderr)
    return Finished(latest.frames, latest.seconds, time.monotonic() - started, stderr)


def _verify(code: int, latest: Progress, stderr: str) -> None:
    complaint = telling(stderr)
    if code < 0:
        hint = "; perhaps the machine is short of memory" if code == -SIGKILL else ""
        raise FfmpegError(f"ffmpeg was killed by {Signals(-code).name}{hint}.", "killed", stderr)
    if code == INTERRUPTED and not complaint:
        raise FfmpegError("ffmpeg was asked to stop before it was done.", "killed", stderr)
    if code != 0:
        raise FfmpegError(f"ffmpeg failed with exit code {code}: {complaint}.", "exit", stderr)
    if not latest.ended:
        raise FfmpegError("ffmpeg ended before its output was complete.", "incomplete", stderr)


def _folders(arguments: Sequence[str], cwd: Path | None) -> list[str]:
    """Folders that FFmpeg may name when it complains."""
    paths = [Path(argument.removeprefix("file:")) for argument in arguments]
    return [str(path.parent) for path in paths if path.is_absolute()] + [str(cwd or "")]
