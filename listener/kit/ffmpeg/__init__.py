"""Run FFmpeg with progress, limits and typed errors; it never outlives its job."""

from listener.kit.ffmpeg.api import (
    FORMATS,
    MAX_BYTES,
    MAX_FRAME_PIXELS,
    MAX_PIXELS,
    MEMORY,
    QUIET,
    FfmpegError,
    Finished,
    binary,
    decodable,
    input_options,
    limit_memory,
    run,
)
from listener.kit.ffmpeg.output import Progress

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_FRAME_PIXELS",
    "MAX_PIXELS",
    "MEMORY",
    "QUIET",
    "FfmpegError",
    "Finished",
    "Progress",
    "binary",
    "decodable",
    "input_options",
    "limit_memory",
    "run",
]
