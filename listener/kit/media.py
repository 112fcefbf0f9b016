"""What a media file holds, found by its content and never by its name.

The file is read by PyAV in a process of its own with limits on time and memory, without a network, and with no
other file in its sight: a hostile file may hang or crash that process, but never the service.
"""

from __future__ import annotations

import json
import math
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio

from listener.errors import ListenerError
from listener.kit import process
from listener.kit.confinement import PYTHON, Confinement
from listener.kit.ffmpeg import FORMATS, MAX_PIXELS

PROBER = Path(__file__).with_name("prober.py")
MEMORY = 2 * 1024**3  # bytes of address space for the reading process


class MediaError(ListenerError):
    """A file is not media that can be read; trying again won't help."""


@dataclass(frozen=True, slots=True)
class Video:
    """The first picture stream.

    Attributes:
        width, height: pixels as shown, that is after `rotation`.
        rotation: degrees clockwise (0, 90, 180, 270) that a player turns the stored picture by.
        pixel_aspect: width of a shown pixel divided by its height; 1 unless the video is anamorphic.
        fps: average frames per second; None for a still.
        frames: number of frames; exact with `count_frames`, else what the file claims, None if it doesn't.
        pix_fmt: FFmpeg's name of the pixel format.
        has_alpha: pixels may be transparent.
        is_image: a still picture.
        codec: FFmpeg's name of the codec.
        matrix: FFmpeg's name of the YUV matrix (`bt709`, `smpte170m`, ...), None when not tagged.
        full_range: True for full (pc) range, False for limited (tv), None when not tagged.
    """

    width: int
    height: int
    rotation: int
    pixel_aspect: Fraction
    fps: Fraction | None
    frames: int | None
    pix_fmt: str
    has_alpha: bool
    is_image: bool
    codec: str
    matrix: str | None
    full_range: bool | None


@dataclass(frozen=True, slots=True)
class Audio:
    """The first sound stream.

    Attributes:
        codec: FFmpeg's name of the codec.
        rate: samples per second.
        channels: number of channels.
    """

    codec: str
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Media:
    """A media file.

    Attributes:
        format: FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2` or `png_pipe`.
        duration: seconds; with `count_frames` the measured span of the video (of the sound if there is no
            video), else what the file claims; None for a still or where nothing is claimed.
        video: the first picture stream, or None. Cover art of a sound file doesn't count.
        audio: the first sound stream, or None.
    """

    format: str
    duration: Fraction | None
    video: Video | None
    audio: Audio | None


async def probe(
    path: Path,
    *,
    count_frames: bool = False,
    timeout: float = 15.0,  # noqa: ASYNC109 - a verdict on the file, not only on the wait
    max_pixels: int = MAX_PIXELS,
) -> Media:
    """Read what `path` holds. About 0.1 s, most of it the start of the reading process; see `probe_all`.

    Args:
        path: a local file; its name and extension mean nothing.
        count_frames: read the whole file, without decoding it, for the real number of frames and duration.
            Verifies a finished film: a truncated file has fewer frames than its header claims.
        timeout: seconds after which the file counts as unreadable.
        max_pixels: width times height of the largest picture to accept.

    Raises:
        MediaError: missing, empty or not a file; no media, or of a format that is not on the list
            (playlists and documents are refused); too large a picture; crashed or hung the reader.
    """
    (found,) = await probe_all([path], count_frames=count_frames, timeout=timeout, max_pixels=max_pixels)
    if isinstance(found, MediaError):
        raise found
    return found


async def probe_all(
    paths: Sequence[Path],
    *,
    count_frames: bool = False,
    timeout: float = 15.0,  # noqa: ASYNC109 - as for `probe`
    max_pixels: int = MAX_PIXELS,
) -> list[Media | MediaError]:
    """Read several files with one reading process; what one file does to it is charged to that file alone.

    Args:
        paths, count_frames, max_pixels: as for `probe`.
        timeout: seconds for each file.

    Returns:
        For each path what `probe` would return or raise.
    """
    request = {"formats": FORMATS, "max_pixels": max_pixels, "count_frames": count_frames}
    results = [_refusal(path) for path in paths]
    waiting = [number for number, result in enumerate(results) if result is None]
    while waiting:
        files = [paths[number].absolute() for number in waiting]
        answers, ending = await _read(files, json.dumps(request), timeout)
        for number, answer in zip(waiting, answers, strict=False):
            results[number] = _media(answer, paths[number].name)
        del waiting[: len(answers)]
        if waiting:  # the reader did not survive the first of them
            number = waiting.pop(0)
            results[number] = MediaError(f"{paths[number].name} {ending}.")
    return [result for result in results if result is not None]


async def _read(
    files: list[Path],
    request: str,
    timeout: float,  # noqa: ASYNC109 - as above
) -> tuple[list[dict[str, Any]], str]:
    """The answers for the first files, all if it went well, and how the reader ended."""
    command = [sys.executable, "-I", str(PROBER), request, *map(str, files)]
    seconds = (math.ceil(timeout) + 1) * len(files)
    limits = {"RLIMIT_AS": MEMORY, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    confined = Confinement(reads=(*map(Path, PYTHON), PROBER, *files))
    answers: list[dict[str, Any]] = []
    line = b""
    async with process.spawn(command, limits=limits, confined=confined) as child:
        with anyio.move_on_after(timeout) as patience:
            async for chunk in child.stdout:
                *lines, line = (line + chunk).split(b"\n")
                answers += map(json.loads, lines)
                if lines:
                    patience.deadline = anyio.current_time() + timeout
            await child.wait()
    if patience.cancelled_caught:
        return answers, f"could not be read within {timeout:g} s"
    *_, last = ["", *child.stderr.splitlines()]
    return answers, f"can't be read: the reader crashed on it ({child.returncode}) {last}".strip()


def _refusal(path: Path) -> Media | MediaError | None:
    """What is wrong with a path before anybody reads the file; None where nothing is."""
    try:
        status = path.stat()
    except OSError as error:
        return MediaError(f"{path.name} can't be opened: {error.strerror}.")
    if not stat.S_ISREG(status.st_mode):
        return MediaError(f"{path.name} is not a regular file.")
    return None if status.st_size else MediaError(f"{path.name} is empty, not a media file.")


def _media(found: dict[str, Any], name: str) -> Media | MediaError:
    if error := found.get("error"):
        return MediaError(f"{name} {error}.")
    video, audio = found["video"], found["audio"]
    if video:
        video |= {name: _fraction(video[name]) for name in ("fps", "pixel_aspect")}
    return Media(
        format=found["format"],
        duration=_fraction(found["duration"]),
        video=Video(**video) if video else None,
        audio=Audio(**audio) if audio else None,
    )


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
