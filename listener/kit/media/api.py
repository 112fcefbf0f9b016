"""Read what a media file holds, by its content and never by its name.

PyAV reads the file in a sandbox (`probe_process`), with limits on time and memory: a hostile file may hang or crash
that process, but never the service.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from listener.kit.errors import KitError
from listener.kit.ffmpeg import FORMATS, MAX_FRAME_PIXELS, MAX_PIXELS
from listener.kit.media.probe_process import ProbeProcess, probing


class MediaError(KitError):
    """A file is not media that can be read."""

    permanent = True


class PictureTooLarge(MediaError):
    """A picture has more pixels than are allowed.

    Attributes:
        width, height: in pixels.
    """

    def __init__(self, message: str, width: int, height: int) -> None:
        super().__init__(message)
        self.width = width
        self.height = height


@dataclass(frozen=True, slots=True)
class Video:
    """The stream of pictures that is meant: a film before a cover, the default track before others.

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
        transfer: FFmpeg's name of the transfer characteristics, where they are those of SDR (`bt709`,
            `iec61966-2-1`) or of HDR (`smpte2084`, `arib-std-b67`); else None.
        is_interlaced: its first frame holds two fields, which were taken one after the other.
        first: seconds at which the first frame begins; the sound may begin earlier.
        last: seconds at which the last frame begins; None for a still, and with `count_frames`.
        pauses: when frames begin and end that stay for more than 0.1 s, in seconds, without the last frame.
        number: of the stream among those that FFmpeg's stream specifier `V` matches, counted from 0.
        decoder: FFmpeg's name of the decoder that keeps the transparency, where the usual one drops it; else None.
        drops_alpha: it has an alpha layer of HEVC, which FFmpeg does not decode.
        is_damaged: parts of a still can't be decoded; False for a video.
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
    transfer: str | None = None
    is_interlaced: bool = False
    first: Fraction = Fraction(0)
    last: Fraction | None = None
    pauses: tuple[tuple[Fraction, Fraction], ...] = ()
    number: int = 0
    decoder: str | None = None
    drops_alpha: bool = False
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """The sound stream that is meant: the first that can be heard, the default track before others.

    Attributes:
        codec: FFmpeg's name of the codec.
        rate: samples per second.
        channels: number of channels.
        duration: seconds from the beginning of the file to the end of the sound, None if not known; with
            `count_frames` the measured span of the sound.
        layout: FFmpeg's name of the channel layout, such as `stereo` or `ambisonic 1`.
        number: of the stream among those that FFmpeg's stream specifier `a` matches, counted from 0.
        tracks: number of sound streams in the file.
    """

    codec: str
    rate: int
    channels: int
    duration: Fraction | None = None
    layout: str = ""
    number: int = 0
    tracks: int = 1


@dataclass(frozen=True, slots=True)
class Media:
    """A media file.

    Attributes:
        format: FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2` or `png_pipe`.
        duration: seconds; with `count_frames` the measured span of the video (of the sound if there is no
            video), else the end of the last packet; None for a still.
        video: the stream of pictures, or None. Cover art of a sound file doesn't count.
        audio: the sound stream, or None.
        declared: seconds that the header declares, if the file ends earlier; else None.
    """

    format: str
    duration: Fraction | None
    video: Video | None
    audio: Audio | None
    declared: Fraction | None = None


async def probe(
    path: Path,
    *,
    count_frames: bool = False,
    timeout: float = 15.0,  # noqa: ASYNC109 - after it, the file counts as unreadable
    max_pixels: int = MAX_PIXELS,
    by: ProbeProcess | None = None,
) -> Media:
    """Read what `path` holds.

    Args:
        path: a local file; its name and extension mean nothing.
        count_frames: read the whole file, without decoding it, for the real number of frames and duration.
            Verifies a finished film: a truncated file has fewer frames than its header claims.
        timeout: seconds after which the file counts as unreadable.
        max_pixels: width times height of the largest still to accept; a frame of a video may have at most
            `MAX_FRAME_PIXELS` and `max_pixels`.
        by: a probe process of the caller; None uses one for this call.

    Raises:
        PictureTooLarge: a picture has more pixels than allowed.
        MediaError: the file is missing, empty or not a regular file; it is no media, or its format is not on the
            list (playlists and documents are refused); it crashed or hung the process.
    """
    (found,) = await probe_all(
        [path], count_frames=count_frames, timeout=timeout, max_pixels=max_pixels, by=by
    )
    if isinstance(found, MediaError):
        raise found
    return found


async def probe_all(
    paths: Sequence[Path],
    *,
    count_frames: bool = False,
    timeout: float = 15.0,  # noqa: ASYNC109 - as for `probe`
    max_pixels: int = MAX_PIXELS,
    by: ProbeProcess | None = None,
) -> list[Media | MediaError]:
    """Read several files with one probe process; if a file crashes it, the next one gets a fresh process.

    Args:
        paths, count_frames, max_pixels, by: as for `probe`.
        timeout: seconds for each file.

    Returns:
        For each path the result or the error of `probe`.
    """
    request = {
        "formats": FORMATS,
        "max_pixels": max_pixels,
        "max_frame_pixels": MAX_FRAME_PIXELS,
        "count_frames": count_frames,
    }
    results: list[Media | MediaError] = []

    async def read(by: ProbeProcess) -> None:
        while by.is_alive and len(results) < len(paths):
            path = paths[len(results)]
            try:
                with _opened(path) as file:
                    found = await by.ask(file, request, timeout)
                results.append(_media(found, path.name))
            except MediaError as error:
                results.append(error)

    if by:
        await read(by)
    while len(results) < len(paths):
        async with probing() as fresh:
            await read(fresh)
    return results


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a regular file that is not empty, and yield its descriptor."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a named pipe would wait for its writer
    except OSError as error:
        raise MediaError(f"{path.name} can't be opened: {error.strerror}.") from None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(f"{path.name} is not a regular file.")
        if not status.st_size:
            raise MediaError(f"{path.name} is empty, not a media file.")
        yield file
    finally:
        os.close(file)


def _media(found: dict[str, Any], name: str) -> Media:
    if size := found.get("size"):
        width, height = size
        raise PictureTooLarge(f"{name} has too many pixels, {width} × {height}.", width, height)
    if error := found.get("error"):
        raise MediaError(f"{name} {error}.")
    video, audio = found["video"], found["audio"]
    if video:
        video |= {name: _fraction(video[name]) for name in ("fps", "pixel_aspect", "first", "last")}
        video["pauses"] = tuple((Fraction(begin), Fraction(end)) for begin, end in video["pauses"])
    return Media(
        format=found["format"],
        duration=_fraction(found["duration"]),
        video=Video(**video) if video else None,
        audio=Audio(**audio | {"duration": _fraction(audio["duration"])}) if audio else None,
        declared=_fraction(found["declared"]),
    )


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
