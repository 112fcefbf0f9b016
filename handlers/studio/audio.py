"""Decode a recording for transcribers, and cut it in its pauses."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from listener import ListenerError
from listener.kit import ffmpeg, media

RATE = 16000  # samples per second, mono, 16 bits: what every recogniser was trained on
LOUDNESS = -45  # decibels below which it counts as silent
SHORTEST_PAUSE = 0.3
SHORTEST_SPEECH = 0.2
MAX_CHANNELS_ALONE = 8  # of a recording whose mix is silent
OPUS_BITS = 24_000  # per second; speech stays as easy to understand


class RecordingError(ListenerError):
    """The file can't be transcribed; another attempt can't help."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a recording, in seconds."""

    start: float
    end: float

    @property
    def name(self) -> str:
        return f"{self.start:.2f}-{self.end:.2f}"


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording on the local disk.

    Attributes:
        path: a WAV file with 16,000 samples per second, mono, 16 bits.
        duration: in seconds.
        pauses: the parts without speech, in order.
        digest: of the recording's file.
    """

    path: Path
    duration: float
    pauses: tuple[Piece, ...]
    digest: str


async def listen(recording: Path, folder: Path, *, max_hours: float) -> Audio:
    """Decode a recording of any format that FFmpeg knows.

    Args:
        recording: a local file; its name means nothing.
        folder: where the audio is written.
        max_hours: longest recording accepted.

    Raises:
        RecordingError: the file is not media, has no sound, is silent, or too long.
        FfmpegError: FFmpeg could not read it to its end.
    """
    try:
        found = await media.probe(recording)
    except media.MediaError as error:
        reason = str(error).replace(recording.name, "it", 1)
        raise RecordingError(f"The recording can't be used: {reason}") from error
    if found.audio is None:
        what = (
            "it is a picture"
            if found.video and found.video.is_image
            else "it is a video without a sound track"
        )
        raise RecordingError(f"The recording has no sound: {what}.")
    if (found.duration or 0) > max_hours * 3600:
        raise _too_long(max_hours)
    wave = folder / "sound.wav"
    # The length that a file claims may be a lie: what is decoded is bounded, too.
    most = math.ceil(max_hours * 3600) + 1
    source = [
        *ffmpeg.input_options(),
        "-i",
        str(recording),
        "-map",
        f"0:a:{found.audio.number}",
        "-t",
        str(most),
    ]
    for mix in _mixes(found.audio):
        detect = f"{mix},silencedetect=n={LOUDNESS}dB:d={SHORTEST_PAUSE},ametadata=mode=print:file=pauses.txt"
        target = ["-ar", str(RATE), "-c:a", "pcm_s16le", "-map_metadata", "-1", str(wave)]
        await ffmpeg.run([*source, "-af", detect, *target], cwd=folder)
        duration = (await to_thread.run_sync(lambda: wave.stat().st_size)) / (2 * RATE)
        if duration > max_hours * 3600:
            raise _too_long(max_hours)
        pauses = _pauses(await to_thread.run_sync((folder / "pauses.txt").read_text), duration)
        if duration - sum(pause.end - pause.start for pause in pauses) >= SHORTEST_SPEECH:
            break
    else:
        raise RecordingError("The recording is silent from its beginning to its end.")
    return Audio(wave, duration, pauses, await to_thread.run_sync(_digest, recording))


def _mixes(audio: media.Audio) -> list[str]:
    """Return filters that make one channel of a recording, the preferred one first.

    Where one wire is the wrong way round, left and right cancel each other, and only one of them is heard.
    """
    each = [f"pan=mono|c0=c{channel}" for channel in range(min(audio.channels, MAX_CHANNELS_ALONE))]
    if audio.channels == 1 or audio.layout.startswith("ambisonic"):  # whose first channel is all around
        return each
    if "channels" in audio.layout:  # nobody named them
        together = "+".join(f"c{channel}" for channel in range(audio.channels))
        return [f"pan=mono|c0<{together}", *each]
    return ["aformat=channel_layouts=mono", *each]


def plan(duration: float, pauses: Sequence[Piece], longest: float) -> list[Piece]:
    """Cut a recording into pieces of much the same length, in the middle of pauses where there are any.

    Args:
        duration: of the recording, in seconds.
        pauses: in order.
        longest: seconds that a piece may last.
    """
    pieces, start = [], 0.0
    while duration - start > longest:
        wanted = start + (duration - start) / math.ceil((duration - start) / longest)
        middles = [(pause.start + pause.end) / 2 for pause in pauses]
        # Not too early, or there would be many more pieces.
        fitting = [middle for middle in middles if start + longest / 2 <= middle <= start + longest]
        cut = min(fitting, key=lambda middle: abs(middle - wanted), default=wanted)
        pieces.append(Piece(start, cut))
        start = cut
    return [*pieces, Piece(start, duration)]


async def cut(sound: Audio, piece: Piece, target: Path) -> Path:
    """Copy a piece to `target`, an .ogg to be sent or a .wav to be read."""
    codec = (
        ["-c:a", "libopus", "-b:a", str(OPUS_BITS), "-application", "voip"]
        if target.suffix == ".ogg"
        else ["-c:a", "pcm_s16le"]
    )
    where = ["-ss", f"{piece.start:.3f}", "-t", f"{piece.end - piece.start:.3f}"]
    await ffmpeg.run([*where, *ffmpeg.input_options(), "-i", sound.path, *codec, target])
    return target


def _pauses(printed: str, duration: float) -> tuple[Piece, ...]:
    """Return the pauses that the filter silencedetect printed; the last one may have no end."""
    times = re.findall(r"lavfi\.silence_(start|end)=(-?[\d.]+)", printed)
    starts = [max(0.0, float(time)) for what, time in times if what == "start"]
    ends = [float(time) for what, time in times if what == "end"]
    ends += [duration] * (len(starts) - len(ends))
    return tuple(Piece(start, min(end, duration)) for start, end in zip(starts, ends, strict=True))


def _too_long(max_hours: float) -> RecordingError:
    return RecordingError(f"The recording is longer than {max_hours:g} hours, the limit (STUDIO_MAX_HOURS).")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
