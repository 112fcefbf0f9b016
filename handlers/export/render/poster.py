"""A still of a finished film, to be shown before it plays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.export.graph.inputs import seconds
from listener.kit import ffmpeg

if TYPE_CHECKING:
    from handlers.export.render.renderer import Rendered

_CHOICE = 60  # frames, at most, of which the one is chosen that is most like them


async def poster(film: Rendered, target: Path, *, at: Fraction | None = None) -> Path:
    """Makes a JPEG of the film's size at `target`.

    Args:
        at: seconds into the film; None chooses a frame that looks like those around it, a third into it.

    Raises:
        FfmpegError: FFmpeg failed.
    """
    last = film.duration * Fraction(film.frames - 1, film.frames)
    wanted = film.duration / 3 if at is None else at
    # Half a frame earlier, for a seek lands on the first frame that is not before the time.
    time = max(Fraction(0), min(wanted, last) - film.duration / film.frames / 2)
    convert = "scale=in_color_matrix=bt709:in_range=tv:out_color_matrix=bt601:out_range=pc,format=yuvj420p"
    filters = convert if at is not None else f"thumbnail={min(_CHOICE, film.frames // 10 + 2)},{convert}"
    source = ["-ss", seconds(time), "-i", f"file:{film.path}", "-map", "0:v"]
    picture = ["-vf", filters, "-frames:v", "1", "-q:v", "3", "-f", "image2", "-update", "1"]
    await ffmpeg.run([*source, *picture, f"file:{target}"], frames=1, cwd=target.parent)
    return target
