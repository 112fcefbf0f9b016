"""The queue `export`: a row of `export_jobs` becomes an MP4 in the bucket `exports`."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from anyio import to_thread

from handlers.export import opencut, sources
from handlers.export.model import FilmError
from handlers.export.render import RenderError, render
from listener import App, Fail, Job, Retry, Snooze
from listener.kit import storage
from listener.kit.fetch import FetchError
from listener.kit.ffmpeg import FfmpegError

app = App()

TIMELINES = "export_data"
TIMELINE_KEYS = (  # where the versions of the application upload to, soon after they inserted the row
    "{user_id}/{job_id}/timeline.json",
    "{user_id}/{job_id}.json",
    "{job_id}/timeline.json",
    "{job_id}.json",
)
PATIENCE = 120.0  # seconds to wait for the upload: the last pause is the first of a whole minute
FILMS = "exports"
FILM_KEY = "{user_id}/{job_id}/export.mp4"

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class Exported(TypedDict):
    """The columns of the row that a finished film fills."""

    download_url: str


@app.handler("export", concurrency=2, timeout=3600)
async def export(job: Job) -> Exported:
    """Renders the row's timeline at the row's size, and answers where the film can be downloaded."""
    names = {"user_id": str(job.row["user_id"]), "job_id": str(job.key)}
    with outcomes():
        uploaded = await _timeline(job, names)
        document = await to_thread.run_sync(opencut.load, uploaded)
        size = {column: _whole(job, column) for column in ("width", "height", "fps")}
        timeline = opencut.read(document, **size)
        for warning in timeline.warnings:
            job.warn(warning)

        job.progress(1, "fetching media")
        found = await sources.collect(timeline.media, job.workdir, owner=names["user_id"])
        film = await render(
            timeline.film,
            found,
            job.workdir / "film.mp4",
            workdir=job.workdir,
            on_progress=lambda percent, message: job.progress(5 + 0.9 * percent, message),
        )
        for warning in film.warnings:
            job.warn(warning)

        job.progress(95, "uploading")
        url = await storage.upload(FILMS, film.path, FILM_KEY.format(**names))
    return {"download_url": url}


async def _timeline(job: Job, names: dict[str, str]) -> Path:
    for key in TIMELINE_KEYS:
        try:
            return await storage.download(TIMELINES, key.format(**names), job.workdir)
        except storage.ObjectNotFound:
            continue
    if job.waited > PATIENCE:
        expected = TIMELINE_KEYS[0].format(**names)
        raise Fail(f"The timeline was not uploaded in {PATIENCE / 60:g} minutes ({expected} in {TIMELINES}).")
    raise Snooze(delay=min(60.0, 0.5 * 2 ** min(job.snoozes, 10)))


def _whole(job: Job, column: str) -> int:
    value = job.row[column]
    if not isinstance(value, int):
        raise FilmError(f"The column {column} must hold a whole number.")
    return value


@contextmanager
def outcomes() -> Iterator[None]:
    """What can go wrong, as an outcome with a sentence that an application can show to its user."""
    try:
        yield
    except FilmError as error:
        raise Fail(str(error)) from error
    except FetchError as error:
        raise (Fail if error.permanent else Retry)(str(error)) from error
    except storage.BadKey as error:
        raise Fail(str(error)) from error
    except FfmpegError as error:
        if "No space left on device" in error.stderr:
            raise Retry("The disk of the renderer is full.") from error
        outcome = Fail if error.reason == "exit" else Retry
        raise outcome(f"The film could not be rendered: {error}") from error
    except (RenderError, storage.StorageError) as error:
        raise Retry(str(error)) from error
    except OSError as error:
        if error.errno in _FULL:
            raise Retry("The disk of the renderer is full.") from error
        raise
