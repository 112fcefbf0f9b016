"""Convert animated WebP pictures to APNG, because most releases of FFmpeg read only still WebP."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from handlers.export.model import FilmError
from listener.kit.sandbox import SandboxError, run_python

PROGRAM = Path(__file__).with_name("_animated_webp_main.py")
MEMORY = 2 * 1024**3  # bytes of address space
MAX_FILE_BYTES = 2 * 1024**3
SECONDS = 120


def is_animated(path: Path) -> bool:
    """Return whether a file is a WebP whose header says that it is animated (RFC 9649, section 2.7)."""
    with path.open("rb") as file:
        head = file.read(21)
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


async def to_apng(path: Path, target: Path, name: str) -> Path:
    """Convert an animated WebP to an APNG at `target`, and leave any other file as it is.

    Args:
        path: a local file of any kind.
        target: path of the APNG.
        name: the author's name of the file, for errors.

    Returns:
        The file to use: `path` or `target`.

    Raises:
        FilmError: the animation is broken or too large.
    """
    if not await to_thread.run_sync(is_animated, path):
        return path
    try:
        await run_python(
            PROGRAM,
            [str(path), str(target)],
            reads=[path],
            writes=[target.parent],
            memory=MEMORY,
            seconds=SECONDS,
            max_file_bytes=MAX_FILE_BYTES,
        )
    except SandboxError as error:
        reason = "it is an animated WebP that is broken or too large"
        raise FilmError(f"The media “{name}” can't be used: {reason}.") from error
    return target
