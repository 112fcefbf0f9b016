"""The queue `export`: render the timeline of a row of `export_jobs` into the bucket `exports`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypedDict

from anyio import to_thread

from handlers.export import opencut, options
from handlers.export.film import render_film
from handlers.export.intake import document
from handlers.export.model import FilmError
from handlers.export.outcomes import outcomes
from handlers.export.render.resume_folder import remove_idle_folders, resume_folder
from handlers.export.settings import ExportSettings, limits
from handlers.shared.uploads import await_upload
from listener import App, Job
from listener.kit import storage

app = App()
app.add_settings(ExportSettings)

TIMELINES = "export_data"
TIMELINE_KEYS = (  # where versions of the application upload the timeline, soon after they inserted the row
    "{user_id}/{job_id}/timeline.json",
    "{user_id}/{job_id}.json",
    "{job_id}/timeline.json",
    "{job_id}.json",
)
FILMS = "exports"
FOLDER = "{user_id}/{job_id}"


class Exported(TypedDict):
    """The columns of the row that are set when the film is finished."""

    download_url: str


@app.handler("export", concurrency=2, timeout=3600)
async def export(job: Job) -> Exported:
    """Render the row's timeline at the row's size, and return where the film can be downloaded."""
    names = {"user_id": str(job.row["user_id"]), "job_id": str(job.key)}
    with outcomes():
        with await_upload(job):
            uploaded = await _timeline(job, names)
        loaded = await to_thread.run_sync(document.load, uploaded, job.workdir)
        read = partial(
            opencut.read,
            width=_whole(job, "width"),
            height=_whole(job, "height"),
            fps=_whole(job, "fps"),
            max_elements=limits().max_elements,
        )
        timeline = await to_thread.run_sync(read, loaded.content)
        output = options.requested(loaded.content, job.row)
    for warning in timeline.warnings:
        job.warn(warning)

    still = job.workdir / "poster.jpg"
    async with resume_folder(f"export {job.key}") as folder:
        with outcomes():
            film = await render_film(
                timeline.film,
                timeline.media,
                job.workdir,
                owner=names["user_id"],
                inline=loaded.inline,
                output=output,
                still=still,
                resume_in=folder,
                on_progress=lambda percent, message: job.progress(1 + 0.94 * percent, message),
            )
            for warning in film.warnings:
                job.warn(warning)

            job.progress(95, "uploading")
            prefix = FOLDER.format(**names)
            await storage.upload(FILMS, still, f"{prefix}/poster.jpg")
            url = await storage.publish(
                FILMS,
                film.path,
                f"{prefix}/export.{output.format}",
                fence=job.fence,
                saved=job.saved,
                remember=job.checkpoint,
            )
    return {"download_url": url}


@app.every(3600)
async def forget() -> None:
    """Remove the finished segments of jobs that were not tried again."""
    await to_thread.run_sync(remove_idle_folders)


async def _timeline(job: Job, names: dict[str, str]) -> Path:
    keys = [key.format(**names) for key in TIMELINE_KEYS]
    for key in keys:
        try:
            return await storage.download(TIMELINES, key, job.workdir)
        except storage.ObjectNotFound:
            continue
    raise storage.ObjectNotFound(
        f"The timeline is not in the storage: there is no object {keys[0]!r} in bucket {TIMELINES!r}."
    )


def _whole(job: Job, column: str) -> int:
    value = job.row[column]
    if not isinstance(value, int):
        raise FilmError(f"The column {column} must hold a whole number.")
    return value
