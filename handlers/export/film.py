"""A film of media that lie anywhere: fetch them, render it, and give back a file that was checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from handlers.export.intake import sources
from handlers.export.model import Film, MediaItem, Output, Rendered
from handlers.export.render.renderer import render
from handlers.export.settings import check_film
from listener.kit.media.probe_process import reader

FETCHED = 4.0  # percent of the progress


async def render_film(
    film: Film,
    media: Mapping[str, MediaItem | Path],
    workdir: Path,
    *,
    owner: str = "",
    inline: Mapping[str, Path] | None = None,
    output: Output = Output(),  # noqa: B008 - immutable
    still: Path | None = None,
    resume_in: Path | None = None,
    on_progress: Callable[[float, str | None], None] | None = None,
) -> Rendered:
    """Renders a film, as `film.mp4` or `film.webm` in `workdir`.

    Two clips in a row, the first without its first second, and music beneath them:

        film = Film(
            width=1280, height=720, fps=Fraction(30), duration=Fraction(5), background=(0, 0, 0),
            clips=(
                Picture("sea", start=Fraction(0), length=Fraction(3), source="a", offset=Fraction(1)),
                Picture("hills", start=Fraction(3), length=Fraction(2), source="b"),
            ),
            sounds=(
                Sound("sea", start=Fraction(0), length=Fraction(3), source="a", offset=Fraction(1)),
                Sound("music", start=Fraction(0), length=Fraction(5), source="m", gain=Curve.fixed(0.5)),
            ),
        )
        made = await render_film(film, {"a": path, "b": path, "m": MediaItem("music", url)}, job.workdir)

    A video is only heard where a `Sound` names it too, and one without a sound track may be named. Still images are
    pictures like any other. Later clips lie over earlier ones.

    Args:
        film: `duration` is how long it is, whatever its clips need.
        media: by the ids that the film's clips name: a file that is here already, which stays as it is, or where it
            is to be had.
        workdir: an empty folder; what is written into it is the caller's to remove.
        owner: user whose files in the bucket `export_data` may be used: keys that begin with this folder.
        inline: files by the names that `MediaItem.url` may have instead of an address.
        output: format, quality, with or without sound.
        still: where to put a picture of it, as JPEG.
        keep: a folder for finished parts of a long film. Given again, with whatever is in it, only the missing ones
            are made.
        on_progress: called with percent, 0 to 100, and a few words.

    Raises:
        FilmError: the film can't be made; the sentence is for whoever asked for it.
        FetchError, StorageError: a media could not be fetched.
        FfmpegError, RenderError: rendering failed. `outcomes()` turns all of these into `Fail` and `Retry`.
    """
    check_film(film)
    tell = on_progress or (lambda percent, words: None)
    tell(0, "fetching media")
    async with reader() as by:
        found = await sources.collect(media, workdir, owner=owner, inline=inline, by=by)
        return await render(
            film,
            found,
            workdir / f"film.{output.format}",
            workdir=workdir,
            output=output,
            still=still,
            resume_in=resume_in,
            by=by,
            on_progress=lambda percent, words: tell(FETCHED + (100 - FETCHED) * percent / 100, words),
        )
