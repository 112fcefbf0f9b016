"""Decode a sound beforehand whose parameters or times can't be trusted, so that the film's graph gets an even one.

Rate and channels may change within a stream: within a podcast with inserted advertisements, joined MP3s, a recording
from television. FFmpeg then configures the graph again, and all filters begin anew; here only these few do. Seeking
also goes wrong in formats without an index, of which FFmpeg guesses the length, and in chained Ogg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from handlers.export.graph import commands
from handlers.export.model import Film, Source
from handlers.export.settings import limits, over
from listener.kit import ffmpeg

STEADY = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "flac", "aiff", "caf", "w64", "au", "avi", "mxf"}
"""Formats whose header holds the parameters of the whole stream, by FFmpeg's names of their demuxers."""
_MARGIN_SECONDS = 1


async def evened(
    film: Film, sources: Mapping[str, Source], folder: Path, *, everything: bool = False
) -> dict[str, Source]:
    """Return the sources with `Source.sound` where it is needed.

    Args:
        film: says how much of each sound is heard.
        sources: by the ids that the film's sounds name.
        folder: where the sounds are written.
        everything: even the sounds in formats that are steady as a rule.

    Raises:
        FilmError: a sound is too long.
        FfmpegError: FFmpeg failed for a reason that is not the file's, such as a full disk.
    """
    ends: dict[str, Fraction] = {}
    for sound in film.sounds:
        if sound.gain.constant != 0 and sound.source in sources:
            end = sound.offset + sound.length * sound.rate + _MARGIN_SECONDS
            ends[sound.source] = max(end, ends.get(sound.source, end))
    made = dict(sources)
    for number, (media_id, end) in enumerate(ends.items()):
        source = sources[media_id]
        audio = source.media.audio
        if audio is None or (source.media.format in STEADY and not everything):
            continue
        target = folder / f"even{number}.mka"
        command = commands.even_sound(source, audio, ffmpeg.input_options(limits().max_pixels), end, target)
        try:
            await ffmpeg.run(command, cwd=folder, max_bytes=limits().max_file_mb * 1024**2)
        except ffmpeg.FfmpegError as error:
            if error.reason == "size":
                limit = f"{limits().max_file_mb} MB"
                raise over(
                    f"The sound of the media “{source.name}” is too large", limit, "max_file_mb"
                ) from error
            if error.reason != "exit":
                raise
            continue  # the film's run reports what is wrong
        made[media_id] = replace(source, sound=target)
    return made
