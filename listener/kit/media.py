"""What a media file holds, found by its content and never by its name.

The file is read by PyAV in a process of its own with limits on time and memory: a hostile file may hang or
crash that process, but never the service.
"""

from __future__ import annotations

import json
import math
import stat
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio

from listener.errors import ListenerError
from listener.kit import process
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
    """Read what `path` holds. About 0.1 s, most of it the start of the reading process.

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
    path = _regular(path)
    request = {"path": str(path), "formats": FORMATS, "max_pixels": max_pixels, "count_frames": count_frames}
    command = [sys.executable, "-I", str(PROBER), json.dumps(request)]
    limits = {"RLIMIT_AS": MEMORY, "RLIMIT_CPU": math.ceil(timeout) + 1, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    answer = b""
    async with process.spawn(command, limits=limits) as child:
        with anyio.move_on_after(timeout) as patience:
            async for chunk in child.stdout:
                answer += chunk
            await child.wait()
    if patience.cancelled_caught:
        raise MediaError(f"{path.name} could not be read within {timeout:g} s.")
    if child.returncode != 0:
        *_, last = ["", *child.stderr.splitlines()]
        raise MediaError(
            f"{path.name} can't be read: the reader crashed on it ({child.returncode}) {last}".strip()
        )
    found = json.loads(answer)
    if error := found.get("error"):
        raise MediaError(f"{path.name} {error}.")
    return _media(found)


def _regular(path: Path) -> Path:
    try:
        status = path.stat()
    except OSError as error:
        raise MediaError(f"{path.name} can't be opened: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{path.name} is not a regular file.")
    if status.st_size == 0:
        raise MediaError(f"{path.name} is empty, not a media file.")
    return path.absolute()


def _media(found: dict[str, Any]) -> Media:
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
