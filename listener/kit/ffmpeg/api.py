"""Run FFmpeg with progress, limits and typed errors; it never outlives its job."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from signal import SIGKILL, SIGXCPU, SIGXFSZ, Signals
from typing import Literal

import anyio
from anyio import to_thread

from listener.kit.errors import KitError
from listener.kit.ffmpeg.output import Progress, ProgressReader, cause, scrub, undecodable
from listener.kit.sandbox import process
from listener.kit.sandbox.policy import Confinement

Reason = Literal["missing", "exit", "killed", "stalled", "incomplete", "memory", "disk", "size", "cpu"]

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,wav,mp3,aac,flac,aiff,gif,apng,image2,"
    "png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,"
    "ac3,eac3,amr,amrnb,amrwb,ape,asf,au,caf,dss,dts,dv,gsm,loas,mxf,rm,tta,voc,w64,wv"
)
"""Demuxers that untrusted media may use. None of them opens a second file or a network address; playlists (hls, concat,
dash) and documents (svg) would."""

MAX_PIXELS = 120_000_000
"""Width times height of the largest still to decode; a file of 1 MB can need gigabytes when decoded."""

MAX_FRAME_PIXELS = 40_000_000
"""Width times height of the largest frame of a video, because a decoder holds up to 17 frames of H.264 or HEVC."""

MEMORY = 4 * 1024**3  # bytes that a run may use, unless `limit_memory` says otherwise
MAX_BYTES = 64 * 1024**3  # of one output file, unless `run` says otherwise
CPU_SECONDS = 24 * 3600  # of all threads together
PROCESSES = 8192  # and threads; the kernel counts all of this user's
STACK = 4 * 1024**2  # bytes for each thread; with the usual 8 MiB, many cores would reach the memory limit

INTERRUPTED = 255  # exit code after SIGTERM or SIGINT, and of some failures, which are on stderr

PERMANENT: frozenset[Reason] = frozenset({"exit", "size", "cpu"})
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_SHORT_OF_MEMORY = re.compile(
    r"cannot allocate memory|malloc of size|out of memory|bad_alloc|pthread_create failed", re.IGNORECASE
)
QUIET = ["-hide_banner", "-nostdin", "-y", "-loglevel", "level+warning"]
PROGRESS = ["-progress", "pipe:1", "-stats_period", "0.5"]


class FfmpegError(KitError):
    """A run failed, or there is no FFmpeg to run.

    Attributes:
        reason: `missing` (no program), `exit` (FFmpeg reported an error), `killed` (by a signal), `stalled` (no
            progress for too long), `incomplete` (exit code 0 without a finished output), `disk` (the disk is
            full), or `memory`, `size`, `cpu` (the run reached its limit of memory, of a file's size, of
            processor time).
        permanent: the same run would fail again: reasons `exit`, `size` and `cpu`.
        stderr: the last 16 KiB of FFmpeg's stderr, without folders.
    """

    def __init__(self, message: str, reason: Reason, stderr: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.permanent: bool = reason in PERMANENT
        self.stderr = stderr


_memory = MEMORY


_decodable: dict[Path, frozenset[str]] = {}


def limit_memory(size: int) -> None:
    """Set the bytes of memory that each run may use."""
    global _memory  # noqa: PLW0603 - one service has one limit, chosen once at start
    _memory = size


@dataclass(frozen=True, slots=True)
class Finished:
    """A successful run.

    Attributes:
        frames: video frames written.
        duration: seconds of output written.
        elapsed: seconds that the run took.
        stderr: warnings, at most 16 KiB, without folders.
        damage: by the path of an input, how often FFmpeg reported at the end of stderr that it could not decode it.
    """

    frames: int
    duration: float
    elapsed: float
    stderr: str
    damage: Counter[Path] = field(default_factory=Counter)


def binary() -> Path:
    """Return the FFmpeg to use: `LISTENER_FFMPEG`, else `ffmpeg` on the PATH, else that of imageio-ffmpeg.

    Raises:
        FfmpegError: there is none; the text says how to install one.
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
    """Return the arguments to put before each `-i` of an untrusted file.

    They restrict FFmpeg to local files, to known formats, and to pictures of at most `max_pixels`.
    """
    return ["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-max_pixels", str(max_pixels)]


async def decodable() -> frozenset[str]:
    """Return the names of the codecs that the FFmpeg of `binary` can decode, as `Video.codec` and `Audio.codec`.

    Raises:
        FfmpegError: there is no FFmpeg.
    """
    program = await to_thread.run_sync(binary)
    if program not in _decodable:
        printed = b""
        command = [str(program), "-hide_banner", "-codecs"]
        async with process.spawn(command, confined=_confinement(program, [], None)) as child:
            async for chunk in child.stdout:
                printed += chunk
        _decodable[program] = frozenset(
            re.findall(r"^ D\S{5} (\S+)", printed.decode(errors="replace"), re.MULTILINE)
        )
    return _decodable[program]


async def run(
    args: Sequence[str | os.PathLike[str]],
    *,
    frames: int | None = None,
    duration: float | None = None,
    on_progress: Callable[[float, str | None], None] | None = None,
    stall: float = 60.0,
    max_bytes: int = MAX_BYTES,
    cwd: Path | None = None,
) -> Finished:
    """Run FFmpeg with `args` until its output is complete.

    It has no network, and opens only the files that `args` name: it may read the inputs, and write in the folders
    of all other paths and `cwd`. Paths are absolute, or relative to `cwd`. `sandbox` describes the confinement.

    Cancellation ends FFmpeg and everything it started before it returns. As for `sandbox.spawn`, the event loop
    must not run in a short-lived thread. An existing output file is overwritten, so write to a temporary name: a
    failed run may leave a playable, short film.

    Args:
        args: arguments after the program's name; write nothing to `pipe:1`, which carries the progress.
        frames: video frames the output will have; preferred for the percentage.
        duration: seconds the output will have; used when `frames` is not known.
        on_progress: called with percent (0 to 100) and a message such as `2.1x, 0:45 left`; with neither
            `frames` nor `duration` only once, at the end.
        stall: seconds without a new frame or a later output time after which the run is killed.
        max_bytes: size of an output file above which the run is killed.
        cwd: working directory.

    Raises:
        FfmpegError: the run ended without exit code 0 and `progress=end`.
    """
    arguments = [os.fspath(arg) for arg in args]
    program = await to_thread.run_sync(binary)
    command = [str(program), *QUIET, *PROGRESS, *arguments]
    limits = {
        "RLIMIT_DATA": _memory,
        "RLIMIT_FSIZE": max_bytes,
        "RLIMIT_CPU": CPU_SECONDS,
        "RLIMIT_NPROC": PROCESSES,
        "RLIMIT_STACK": STACK,
        "RLIMIT_CORE": 0,
    }
    confined = await to_thread.run_sync(_confinement, program, arguments, cwd)
    started = time.monotonic()
    reader, latest = ProgressReader(), Progress()
    async with process.spawn(command, cwd=cwd, limits=limits, confined=confined) as child:
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
    elapsed = time.monotonic() - started
    _verify(child.returncode or 0, latest, stderr, elapsed)
    inputs = [Path(name.removeprefix("file:")) for flag, name in pairwise(arguments) if flag == "-i"]
    damage = Counter({inputs[number]: count for number, count in undecodable(stderr).items()})
    return Finished(latest.frames, latest.seconds, elapsed, stderr, damage)


def _verify(code: int, latest: Progress, stderr: str, elapsed: float) -> None:
    complaint = cause(stderr)
    if code == -SIGXFSZ:
        raise FfmpegError("ffmpeg was stopped because its output grew larger than allowed.", "size", stderr)
    # FFmpeg ends on SIGXCPU as on SIGTERM; the elapsed time shows whether the limit can have been reached.
    if code in {-SIGXCPU, INTERRUPTED} and elapsed * (os.cpu_count() or 1) >= CPU_SECONDS:
        raise FfmpegError(
            "ffmpeg was stopped because it used more processor time than allowed.", "cpu", stderr
        )
    if code != 0 and _SHORT_OF_MEMORY.search(stderr):
        raise FfmpegError(
            f"ffmpeg needs more memory than the {_memory // 1024**2} MB that it may use (FFMPEG_MEMORY_MB).",
            "memory",
            stderr,
        )
    if code != 0 and _DISK_FULL.search(stderr):
        raise FfmpegError("ffmpeg could not write its output because the disk is full.", "disk", stderr)
    if code < 0:
        hint = "; the machine may be short of memory" if code == -SIGKILL else ""
        raise FfmpegError(f"ffmpeg was killed by {Signals(-code).name}{hint}.", "killed", stderr)
    if code == INTERRUPTED and not complaint:
        raise FfmpegError("ffmpeg was asked to stop before it was done.", "killed", stderr)
    if code != 0:
        raise FfmpegError(f"ffmpeg failed with exit code {code}: {complaint}.", "exit", stderr)
    if not latest.ended:
        raise FfmpegError("ffmpeg ended before its output was complete.", "incomplete", stderr)


def _confinement(program: Path, arguments: Sequence[str], cwd: Path | None) -> Confinement:
    reads, writes = [program.parent, program.resolve().parent], [cwd] if cwd else []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        path = Path(argument.removeprefix("file:"))
        if not path.is_absolute():
            continue
        # A path that does not exist yet is an output, or a pattern such as %03d.png.
        place = path if path.exists() and (before == "-i" or not path.is_file()) else path.parent
        (reads if before == "-i" else writes).append(place)
    return Confinement(tuple(reads), tuple(writes))


def _folders(arguments: Sequence[str], cwd: Path | None) -> list[str]:
    """Return the folders that FFmpeg may name in its messages."""
    paths = [Path(argument.removeprefix("file:")) for argument in arguments]
    return [str(path.parent) for path in paths if path.is_absolute()] + [str(cwd or "")]
