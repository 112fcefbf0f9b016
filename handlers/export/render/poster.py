"""Make a still of a finished film, to be shown before it plays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from handlers.export.graph import commands
from handlers.export.model import Rendered
from listener.kit import ffmpeg


async def poster(film: Rendered, target: Path, *, at: Fraction | None = None) -> Path:
    """Make a JPEG of the film's size at `target`.

    Args:
        at: seconds into the film; None chooses a frame that looks like those around it, a third into the film.

    Raises:
        FfmpegError: FFmpeg failed.
    """
    await ffmpeg.run(commands.poster(film, target, at), frames=1, cwd=target.parent)
    return target
