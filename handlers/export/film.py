"""Render a film: fetch its media, run FFmpeg, and return a file that was checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from handlers.export.intake import sources
from handlers.export.intake.even_sound import evened
from handlers.export.model import Film, MediaItem, Output, Rendered, RenderError
from handlers.export.render.renderer import render
from handlers.export.settings import check_film
from listener.kit.media.probe_process import probing

FETCHED_PERCENT = 4.0  # of the progress, when all media are fetched


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
    """Render a film, as `film.mp4` or `film.webm` in `workdir`.

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

    A video is heard only if a `Sound` names its source, too; a source without a sound track is silent. A still image
    is a `Picture`. Later clips lie over earlier ones.

    Args:
        film: lasts for its `duration`, even if its clips end earlier or later.
        media: by the ids that the film's clips name: a local file, which stays unchanged, or where to fetch it.
        workdir: an empty folder; the caller removes what is written into it.
        owner: user whose files in the bucket `export_data` may be used: keys that begin with this folder.
        inline: files by the names that `MediaItem.url` may have instead of an address.
        output: format, quality, with or without sound.
        still: where to put a picture of it, as JPEG.
        resume_in: a folder for the finished segments of a long film. Given again, with the files that it holds, only
            the missing segments are made.
        on_progress: called with percent, 0 to 100, and a short message.

    Raises:
        FilmError: the film can't be made; the sentence is meant for the film's author.
        FetchError, StorageError: a media file could not be fetched.
        FfmpegError, RenderError: rendering failed. `outcomes()` turns all of these into `Fail` and `Retry`.
    """
    check_film(film)
    report = on_progress or (lambda percent, message: None)
    report(0, "fetching media")
    async with probing() as by:
        found = await sources.collect(media, workdir, owner=owner, inline=inline, by=by)
        if output.sound:
            found = await evened(film, found, workdir)
        once = partial(
            render,
            film,
            target=workdir / f"film.{output.format}",
            workdir=workdir,
            output=output,
            still=still,
            resume_in=resume_in,
            by=by,
            on_progress=lambda percent, message: report(
                FETCHED_PERCENT + (100 - FETCHED_PERCENT) * percent / 100, message
            ),
        )
        try:
            return await once(sources=found)
        except RenderError:
            # The usual reason is a sound whose channels change in a format that is steady as a rule.
            again = await evened(film, found, workdir, everything=True) if output.sound else found
            if again == found:
                raise
            return await once(sources=again)
