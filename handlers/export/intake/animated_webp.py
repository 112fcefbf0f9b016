"""Turns an animated WebP into an APNG, for most FFmpegs read only the first kind of WebP: stills.

Run by path, `python -I unfold.py WEBP APNG`, it is also the program that does so, in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

MEMORY = 2 * 1024**3  # bytes of address space for that process
SECONDS = 120


def is_animated(path: Path) -> bool:
    """Whether a file is a WebP that says that it moves (RFC 9649, section 2.7)."""
    with path.open("rb") as file:
        head = file.read(21)
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


async def unfold(path: Path, target: Path, name: str) -> Path:
    """Makes an APNG of an animated WebP, at `target`; any other file may stay as it is.

    Args:
        name: what the project's author calls it.

    Returns:
        The file to use: `path` or `target`.

    Raises:
        FilmError: it can't be read, or is too large.
    """
    import anyio
    from anyio import to_thread

    from handlers.export.model import FilmError
    from listener.kit.sandbox import process
    from listener.kit.sandbox.policy import PYTHON, Confinement

    if not await to_thread.run_sync(is_animated, path):
        return path
    command = [sys.executable, "-I", __file__, str(path), str(target)]
    limits = {"RLIMIT_AS": MEMORY, "RLIMIT_CPU": SECONDS, "RLIMIT_FSIZE": MEMORY, "RLIMIT_CORE": 0}
    confined = Confinement(reads=(*map(Path, PYTHON), Path(__file__), path), writes=(target.parent,))
    async with process.spawn(command, limits=limits, confined=confined) as child:
        with anyio.move_on_after(SECONDS):
            await child.wait()
    if child.returncode != 0:
        reason = "it is an animated WebP that is broken or too large"
        raise FilmError(f"The media “{name}” can't be used: {reason}.")
    return target


def main() -> None:
    from PIL import Image, ImageSequence

    source, target = sys.argv[1:]
    with Image.open(source, formats=["WEBP"]) as animation:
        durations = []
        for frame in ImageSequence.Iterator(animation):
            frame.load()  # only then it is known how long it stays
            durations.append(frame.info["duration"])
        animation.seek(0)
        animation.save(target, format="PNG", save_all=True, duration=durations, compress_level=1)


if __name__ == "__main__":
    main()
