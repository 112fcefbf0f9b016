"""The queue `project_exports`: a row of `exports` becomes a film of the project's clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from handlers.export import FilmError, outcomes, render_film
from handlers.projects.film import Piece, assemble
from handlers.projects.store import in_order
from listener import App, Job
from listener.kit import intake, media, storage, tables
from listener.kit.errors import TooLarge
from listener.kit.fetch import FetchError, fetch

app = App()

MAX_FILE_GB = 4
FETCHED = 20  # percent of the progress


class FinishedExport(TypedDict):
    """The columns of the row that a finished film fills."""

    file_url: str
    storage_key: str
    resolution: str
    duration: float


@app.handler("project_exports", concurrency=1, timeout=3600)
async def export(job: Job) -> FinishedExport:
    """Render the project that the row names."""
    project_id = str(job.row["project_id"])
    with outcomes():
        (project,) = await tables.current().select("projects", where={"id": project_id})
        clips = await tables.current().select("clips", where={"project_id": project_id})
        sounds = await tables.current().select("audio_files", where={"project_id": project_id})
        clips.sort(key=in_order)
        job.progress(1, "downloading clips")
        shelf = _Files(job, len(clips) + len(sounds))
        pictures = await shelf.bring(clips, "clips", "prompt")
        film, files = assemble(
            pictures,
            await shelf.bring(sounds, "audio", "name"),
            project["settings"],
            job.row["resolution"],
        )
        rendering = job.workdir / "film"
        rendering.mkdir()
        made = await render_film(
            film,
            files,
            rendering,
            on_progress=lambda percent, words: job.progress(FETCHED + 0.7 * percent, words),
        )
        for warning in made.warnings:
            job.warn(warning)

        job.progress(92, "uploading")
        key = f"projects/{project_id}/final/{job.key}/film.mp4"
        url = await storage.publish("exports", made.path, key, fence=job.fence)
    return {
        "file_url": url,
        "storage_key": storage.fenced(key, job.fence),
        "resolution": f"{film.width}x{film.height}",
        "duration": round(float(made.duration), 3),
    }


class _Files:
    """Brings the project's files to the local disk."""

    def __init__(self, job: Job, expected: int) -> None:
        self._job = job
        self._expected = max(1, expected)
        self._brought = 0

    async def bring(self, rows: Sequence[Mapping[str, Any]], bucket: str, named: str) -> list[Piece]:
        """Bring the files of these rows and probe them.

        Raises:
            FilmError: a file is missing or is not media.
            FetchError, StorageError: a file could not be brought.
        """
        names = [row[named] or f"number {number}" for number, row in enumerate(rows, 1)]
        names = [f"{name[:60]}…" if len(name) > 60 else name for name in names]
        paths = [await self._bring(row, name, bucket) for row, name in zip(rows, names, strict=True)]
        found = await media.probe_all(paths) if paths else []
        pieces = []
        for row, name, path, looked in zip(rows, names, paths, found, strict=True):
            if isinstance(looked, media.MediaError):
                raise FilmError(f"“{name}” can't be used: {str(looked).replace(path.name, 'it', 1)}")
            pieces.append(Piece(row, name, path, looked))
        return pieces

    async def _bring(self, row: Mapping[str, Any], name: str, bucket: str) -> Path:
        self._brought += 1
        self._job.progress(FETCHED * self._brought / self._expected)
        target = self._job.workdir / f"in{self._brought}.bin"
        max_bytes = MAX_FILE_GB * 1024**3
        try:
            if row["storage_key"]:
                # The table's policies hold keys to the folder of their project.
                return await intake.bring_object(
                    bucket, row["storage_key"], target, max_bytes=max_bytes, what=f"“{name}”"
                )
            if not row["file_url"]:
                raise FilmError(f"“{name}” has no file yet.")
            return await fetch(row["file_url"], target, max_bytes=max_bytes)
        except TooLarge as error:
            raise FilmError(f"“{name}” is larger than {MAX_FILE_GB} GB, the limit.") from error
        except (storage.ObjectNotFound, storage.BadKey) as error:
            raise FilmError(str(error)) from error
        except FetchError as error:
            raise FetchError(f"“{name}” could not be fetched: {error}", permanent=error.permanent) from error
