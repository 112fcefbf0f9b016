"""The queue `clips`: a row of `clip_jobs` becomes a clip in the project's folder, and a row of `clips`."""

from __future__ import annotations

from typing import TypedDict

from handlers.clips.generation import generate
from handlers.clips.in_flight import LOOK_EVERY, cancel_unwanted
from handlers.clips.model import ClipError, Request
from handlers.clips.settings import ClipsSettings
from handlers.shared.outcomes import outcomes
from listener import App, Job
from listener.kit import storage

app = App()
app.add_settings(ClipsSettings)


class Made(TypedDict):
    """The columns of the row that a finished clip fills. A trigger inserts the row of `clips` from them."""

    provider: str
    file_url: str
    storage_key: str
    thumbnail_url: str
    thumbnail_key: str
    width: int
    height: int
    seconds: float


@app.handler("clips", concurrency=4, timeout=900)
async def clip(job: Job) -> Made:
    """Generate the clip that the row describes, and store it."""
    with outcomes("The clip could not be made", fail=(ClipError,)):
        return await _made(job)


async def _made(job: Job) -> Made:
    request = Request.of(job.row)
    made = await generate(job, request, saved=job.saved, remember=job.checkpoint)

    job.progress(80, "uploading")
    folder = f"projects/{job.row['project_id']}"
    video, picture = f"{folder}/clips/{job.key}/clip.mp4", f"{folder}/thumbnails/{job.key}/clip.jpg"
    url = await storage.publish("clips", made.path, video, fence=job.fence)
    thumbnail = await storage.publish("thumbnails", made.thumbnail, picture, fence=job.fence)
    width, height = made.size
    return {
        "provider": made.provider,
        "file_url": url,
        "storage_key": storage.fenced(video, job.fence),
        "thumbnail_url": thumbnail,
        "thumbnail_key": storage.fenced(picture, job.fence),
        "width": width,
        "height": height,
        "seconds": round(made.duration, 3),
    }


@app.every(LOOK_EVERY)
async def cancel_at_provider() -> None:
    """Cancel the orders of rows that were cancelled or deleted."""
    await cancel_unwanted("clips", "clip_jobs", open_={"queued", "running"}, done="success")
