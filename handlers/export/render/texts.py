"""Draw the texts of a film in a separate process, which ends with the job at once.

Bidirectional ordering, shaping and drawing take as long as the author of a project chooses, and native libraries read
the characters. So all of it happens in one sandboxed process for each film; its program is `text/_raster_main.py`.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable
from pathlib import Path

import anyio

from handlers.export import text
from handlers.export.model import Film, FilmError, Text
from handlers.export.settings import limits
from handlers.export.text import font_lookup
from listener.kit.sandbox import SandboxError, run_python

PROGRAM = Path(text.__file__).with_name("_raster_main.py")
MEMORY = 3 * 1024**3  # bytes of address space; fonts are mapped into it
SECONDS = 900  # of processor time and of elapsed time, for all texts of a film
MAX_FILE_BYTES = 256 * 1024**2


async def draw(film: Film, folder: Path) -> dict[Text, text.Raster]:
    """Draw the texts of a film into `folder`, and return their pictures; a text that is never seen has none.

    Raises:
        FilmError: the texts take too much work, or one of them can't be drawn.
    """
    texts = list(dict.fromkeys(clip for clip in film.clips if isinstance(clip, Text)))
    if not texts:
        return {}
    _check(texts)
    drawn = folder / "texts"
    await anyio.Path(drawn).mkdir()
    paths = [drawn / f"text{number}.png" for number in range(len(texts))]
    request = folder / "texts.pickle"
    await anyio.Path(request).write_bytes(
        pickle.dumps(
            {
                "texts": [(clip, str(path)) for clip, path in zip(texts, paths, strict=True)],
                "size": (film.width, film.height),
                "budget": {"glyphs": limits().max_glyphs, "pixels": limits().max_text_gigapixels * 1e9},
                "home": os.environ.get("HOME"),
            }
        )
    )
    printed: list[bytes] = []
    try:
        await run_python(
            PROGRAM,
            [str(request)],
            reads=[request, PROGRAM.parents[1], *font_lookup.folders()],
            writes=[drawn],
            memory=MEMORY,
            seconds=SECONDS,
            max_file_bytes=MAX_FILE_BYTES,
            on_line=printed.append,
        )
    except SandboxError as error:
        name = texts[min(len(printed), len(texts) - 1)].name
        raise FilmError(
            f"The texts of the film could not be drawn, up to “{name}”: they take more time or memory than there is."
        ) from error
    return dict(_rasters(texts, paths, printed))


def _check(texts: list[Text]) -> None:
    """Refuse texts that are too long together, before a process is started."""
    glyphs, most = sum(len(clip.content) for clip in texts), limits().max_glyphs
    if glyphs > most:
        raise FilmError(
            f"The texts of the film have {glyphs:,} characters; the limit is {most:,} (EXPORT_MAX_GLYPHS)."
        )


def _rasters(
    texts: list[Text], paths: list[Path], printed: list[bytes]
) -> Iterable[tuple[Text, text.Raster]]:
    for clip, path, line in zip(texts, paths, printed, strict=False):
        answer = json.loads(line)
        if "error" in answer:
            raise FilmError(answer["error"])
        if answer:
            across, down = answer["pixels"]
            size = answer["width"], answer["height"]
            yield clip, text.Raster(path, (across, down), *size, tuple(answer["notes"]))
