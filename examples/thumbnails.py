"""Make a thumbnail of each video that a row names. Run it with `listener run examples.thumbnails:app`."""

from listener import App, Fail, Job
from listener.kit import ffmpeg, storage

app = App()


@app.handler("thumbnails", concurrency=2, timeout=300)
async def thumbnail(job: Job) -> dict[str, str]:
    video = await storage.download("videos", job.row["path"], job.workdir)
    if video.suffix not in {".mp4", ".mov"}:
        raise Fail(f"A thumbnail needs an .mp4 or .mov, not {job.row['path']}.")
    picture = job.workdir / "thumbnail.jpg"
    await ffmpeg.run(
        [*ffmpeg.input_options(), "-i", video, "-frames:v", "1", picture], on_progress=job.progress
    )
    return {"thumbnail_url": await storage.upload("thumbnails", picture)}
