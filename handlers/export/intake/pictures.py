"""Decode the pictures that FFmpeg reads wrongly or not at all, depending on its release, before a film is rendered.

FFmpeg 5.1 reads no HEIC and no AVIF, and 9.0 shows one tile of a HEIC that consists of several. Both read only still
WebP, and drop the alpha of AVIF. Pillow and pillow-heif decode all of these.
"""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from handlers.export.model import FilmError
from handlers.export.settings import limits, over
from listener.kit.sandbox import SandboxError, run_python

PROGRAM = Path(__file__).with_name("_picture_main.py")
MEMORY = 3 * 1024**3  # bytes of address space
MAX_FILE_BYTES = 2 * 1024**3
SECONDS = 120
_TOO_LARGE = 3  # exit code of the program
_NAMES = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}


def kind(path: Path) -> str | None:
    """Return what a picture is that has to be decoded beforehand, by its header; None for all other files.

    The header of a WebP is that of RFC 9649, section 2.7; those of HEIC and AVIF are of ISO/IEC 23008-12.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if len(head) > 20 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & 2:
        return "animated WebP"
    if head[4:8] != b"ftyp":
        return None
    return _NAMES.get(head[8:12])


async def readable(path: Path, target: Path, name: str) -> Path:
    """Convert a picture that FFmpeg can't be trusted with to a PNG or APNG; leave any other file as it is.

    Args:
        path: a local file of any kind.
        target: path of the new picture, without a suffix.
        name: the author's name of the file, for errors.

    Returns:
        The file to use: `path` or one beside `target`.

    Raises:
        FilmError: the picture is broken or too large.
    """
    found = await to_thread.run_sync(kind, path)
    if found is None:
        return path
    target = target.with_suffix(".png")
    printed: list[bytes] = []
    try:
        await run_python(
            PROGRAM,
            [str(path), str(target), str(limits().max_pixels)],
            reads=[path],
            writes=[target.parent],
            memory=MEMORY,
            seconds=SECONDS,
            max_file_bytes=MAX_FILE_BYTES,
            on_line=printed.append,
        )
    except SandboxError as error:
        if error.code == _TOO_LARGE and printed:
            raise too_large(name, *map(int, printed[0].split())) from error
        reason = f"it is an {found} that is broken or too large"
        raise FilmError(f"The media “{name}” can't be used: {reason}.") from error
    return target


def too_large(name: str, width: int, height: int) -> FilmError:
    """Return the error of a picture with more pixels than are allowed."""
    limit = f"{limits().max_megapixels:g} megapixels"
    return over(f"The media “{name}” has {width} × {height} pixels", limit, "max_megapixels")
