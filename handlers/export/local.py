"""Render a project file of this machine without a service, for `listener render`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from anyio import to_thread

from handlers.export import opencut, options
from handlers.export.film import render_film
from handlers.export.intake import document
from handlers.export.model import FilmError, Format, MediaItem, Quality, Rendered
from handlers.export.settings import limits

REMOTE = ("https", "http", "data")


async def render_file(
    project: Path,
    target: Path,
    *,
    size: tuple[int, int] | None = None,
    fps: Fraction | None = None,
    quality: Quality | None = None,
    still: Path | None = None,
    folder: Path | None = None,
    on_progress: Callable[[float, str | None], None] | None = None,
) -> Rendered:
    """Render a project, and move the film to `target` when it is complete.

    Args:
        project: a document of any format.
        target: its suffix chooses the format.
        size: width and height in pixels; None takes the project's.
        fps: frames a second; None takes the project's.
        quality: None takes the project's.
        still: where a poster of the film goes, as a JPEG.
        folder: where media lie that are named by a path, and beyond which none is read; None takes the project's.
        on_progress: as for `render_film`.

    Returns:
        The film at `target`, with all warnings.

    Raises:
        FilmError: with a sentence that says what is wrong.
        FetchError, FfmpegError, RenderError: as `render_film`.
    """
    suffix = target.suffix.removeprefix(".").lower()
    formats: dict[str, Format] = {choice: choice for choice in get_args(Format)}
    if suffix not in formats:
        raise FilmError(
            f"The film {target.name} must end in {' or '.join(f'.{choice}' for choice in formats)}."
        )
    for path in (target, still or target):
        if not path.parent.is_dir():
            raise FilmError(f"There is no folder {path.parent} to write to.")
    with _workdir(target.parent.absolute()) as name:
        workdir = Path(name)
        loaded = await to_thread.run_sync(document.load, project, workdir)
        width, height = size or (None, None)
        limit = limits().max_elements
        read = partial(opencut.read, width=width, height=height, fps=fps, max_elements=limit)
        timeline = await to_thread.run_sync(read, loaded.content)
        output = replace(options.requested(loaded.content), format=formats[suffix])
        made = await render_film(
            timeline.film,
            _found(timeline.media, loaded.inline, folder or project.parent),
            workdir,
            inline=loaded.inline,
            output=replace(output, quality=quality) if quality else output,
            still=workdir / "poster.jpg" if still else None,
            on_progress=on_progress,
        )
        if still:
            (workdir / "poster.jpg").replace(still)
        made.path.replace(target)
    return replace(made, path=target, warnings=(*timeline.warnings, *made.warnings))


def _workdir(folder: Path) -> TemporaryDirectory[str]:
    """Make a folder on the target's disk, so that the finished film is moved there atomically."""
    try:
        return TemporaryDirectory(prefix=".film-", dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise FilmError(f"The folder {folder} can't be written to ({error.strerror}).") from None


def _found(
    media: Mapping[str, MediaItem], inline: Mapping[str, Path], folder: Path
) -> dict[str, MediaItem | Path]:
    """Return the media with local files in place of paths."""
    return {
        media_id: item
        if item.url in inline or item.url.partition(":")[0].lower() in REMOTE
        else _file(item, folder)
        for media_id, item in media.items()
    }


def _file(item: MediaItem, folder: Path) -> Path:
    try:
        path = (folder / item.url).resolve()
        inside, there = path.is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a cycle of links
        inside, there = True, False
    if not inside:
        raise FilmError(f"The media “{item.name}” lies outside of the folder {folder}: {item.url[:200]}.")
    if not there:
        raise FilmError(f"The media “{item.name}” is not in the folder {folder}: {item.url[:200]}.")
    return path
