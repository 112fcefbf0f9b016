"""Store projects with their scenes, clips, voices, exports and sounds in the application's database and storage."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from handlers.projects.files import FILES, ProjectError, ProjectFiles
from listener.kit.configured import configured_storage, configured_tables
from listener.kit.settings import Settings
from listener.kit.storage import Storage
from listener.kit.tables import Row, Tables

ALL_OF = ("scenes", "clips", "audio_files", "exports")


class ProjectNotFound(ProjectError):
    """There is no such project, or this user may not see it."""


class AsyncProjects:
    """The projects of an application.

    With the service's key or connection these are the projects of all users: check the owner before a change, or pass
    tables that act as the user. Every method raises TablesError and TablesUnavailable; those for files raise
    StorageError, too.

    Args:
        tables: the database that the preset `projects` was run in.
        files: the storage of the buckets; None takes the one chosen with `storage.use`.
    """

    def __init__(self, tables: Tables, files: Storage | None = None) -> None:
        self._tables = tables
        self._files = ProjectFiles(files)

    async def create_project(
        self,
        title: str = "Untitled",
        *,
        script: str = "",
        settings: Mapping[str, Any] | None = None,
        user_id: str | None = None,
    ) -> Row:
        """Create a project. Without `user_id` its owner is the user that the tables act as, or nobody."""
        owner = {} if user_id is None else {"user_id": user_id}
        row = {"title": title, "script": script, "settings": dict(settings or {}), **owner}
        (made,) = await self._tables.insert("projects", row)
        return made

    async def update_project(
        self,
        project_id: str,
        *,
        title: str | None = None,
        script: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Row:
        """Change the given fields.

        Raises:
            ProjectError: no field is given.
            ProjectNotFound: there is no such project.
        """
        said = {"title": title, "script": script, "settings": None if settings is None else dict(settings)}
        values = {name: value for name, value in said.items() if value is not None}
        if not values:
            raise ProjectError("No field is given; pass a title, a script or settings.")
        return _one(await self._tables.update("projects", values, where={"id": project_id}), project_id)

    async def load_project(self, project_id: str) -> Row:
        """Return a project with `scenes`, `clips` and `audio_files` in their order and `exports`, the newest first.

        Addresses of files in this storage are new and valid for seven days.

        Raises:
            ProjectNotFound: there is no such project.
        """
        project = _one(await self._tables.select("projects", where={"id": project_id}), project_id)
        for table in ALL_OF:
            project[table] = await self._tables.select(table, where={"project_id": project_id})
        for table in ("scenes", "clips"):
            project[table].sort(key=in_order)
        project["audio_files"].sort(key=lambda row: (row["start_time"], row["created_at"], row["id"]))
        project["exports"].sort(key=lambda row: str(row["created_at"]), reverse=True)
        async with anyio.create_task_group() as tasks:
            for table, (bucket, _) in FILES.items():
                for row in project[table]:
                    if row["storage_key"]:
                        tasks.start_soon(self._files.renew, row, "file_url", bucket, row["storage_key"])
            for row in project["clips"]:
                if row["thumbnail_key"]:
                    tasks.start_soon(
                        self._files.renew, row, "thumbnail_url", "thumbnails", row["thumbnail_key"]
                    )
        return project

    async def sync_scenes(self, project_id: str, scenes: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Replace the scenes of a project by these, in this order and in one transaction.

        Scenes without an `id` or with a new one are inserted, others are changed in the given columns, and scenes that
        are not listed are deleted.
        """
        listed = [dict(scene) for scene in scenes]
        rows: list[Row] = await self._tables.call("sync_scenes", project_id=project_id, scenes=listed)
        return rows

    async def save_clip(self, clip: Mapping[str, Any]) -> Row:
        """Insert a clip, or change the one that has this `id`, in the given columns."""
        if clip.get("id"):
            changes = {name: value for name, value in clip.items() if name != "id"}
            if changed := await self._tables.update("clips", changes, where={"id": clip["id"]}):
                return changed[0]
        (made,) = await self._tables.insert("clips", clip)
        return made

    async def save_clip_record(
        self,
        project_id: str,
        scene_id: str | None,
        provider: str | None,
        file_url: str,
        prompt: str | None = None,
        duration: float | None = None,
    ) -> Row:
        """Append a finished clip to a project.

        Args:
            file_url: any address; one that `upload_video_clip` returned is renewed by `load_project`.
        """
        clips = await self._tables.select("clips", where={"project_id": project_id}, columns=["order_index"])
        row = {
            "project_id": project_id,
            "scene_id": scene_id,
            "provider": provider,
            "prompt": prompt,
            "duration": duration,
            "order_index": max((clip["order_index"] or 0 for clip in clips), default=-1) + 1,
            **await self._files.place(project_id, "clips", file_url),
        }
        (made,) = await self._tables.insert("clips", row)
        return made

    async def reorder_clips(self, project_id: str, clip_ids: Sequence[str]) -> list[Row]:
        """Order the clips of a project in one transaction; clips that are not named follow. Return all."""
        rows: list[Row] = await self._tables.call(
            "reorder_clips", project_id=project_id, clip_ids=list(clip_ids)
        )
        return rows

    async def upload_video_clip(
        self, project_id: str, scene_id: str | None, data: bytes | Path, provider: str | None = None
    ) -> str:
        """Store a video in the project's folder and return its address.

        Raises:
            ProjectError: the file is not a video.
        """
        name = "-".join(filter(None, (scene_id, provider, secrets.token_hex(6))))
        return await self._files.upload(project_id, "clips", data, f"{name}.mp4")

    async def upload_audio(self, project_id: str, data: bytes | Path, suffix: str = "mp3") -> str:
        """Store a sound in the project's folder and return its address.

        Raises:
            ProjectError: the file has no sound.
        """
        return await self._files.upload(project_id, "audio_files", data, f"{secrets.token_hex(6)}.{suffix}")

    async def save_audio_file(
        self,
        project_id: str,
        file_url: str,
        name: str = "",
        *,
        start_time: float = 0.0,
        volume: float = 1.0,
    ) -> Row:
        """Add a sound to a project.

        Args:
            start_time: seconds from the beginning of the film.
            volume: factor from 0 to 4; 1 is the loudness of the file.
        """
        row = {
            "project_id": project_id,
            "name": name,
            "start_time": start_time,
            "volume": volume,
            **await self._files.place(project_id, "audio_files", file_url),
        }
        (made,) = await self._tables.insert("audio_files", row)
        return made

    async def save_voice(self, voice: Mapping[str, Any]) -> Row:
        """Insert a voice into its user's library, or change the one that has this `id`."""
        return (await self._tables.insert("voices", voice, on_conflict=["id"]))[0]

    async def list_voices(self, user_id: str | None = None) -> list[Row]:
        """Return the voices of a user by name; None returns those without an owner."""
        return await self._tables.select("voices", where={"user_id": user_id}, order="name")

    async def request_export(self, project_id: str, resolution: str | None = None) -> Row:
        """Request a film of the project; the returned row shows its progress.

        Args:
            resolution: `1280x720` or `720p`; None takes the project's settings, or the size of its first clip.
        """
        row = {"project_id": project_id, "resolution": resolution}
        return (await self._tables.insert("exports", row))[0]

    async def save_export(
        self, project_id: str, file_url: str, resolution: str | None = None, duration: float | None = None
    ) -> Row:
        """Record a film of the project that another program has made."""
        place = await self._files.place(project_id, "exports", file_url)
        row = {"project_id": project_id, "resolution": resolution, "duration": duration, **place}
        return (await self._tables.insert("exports", row))[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()


def in_order(row: Row) -> tuple[int, str, str]:
    """Return the sort key of a scene or clip; in older tables `order_index` may be null."""
    return row["order_index"] or 0, row["created_at"], row["id"]


def configured() -> AsyncProjects:
    """Return the projects in the configured tables and storage.

    Raises:
        ConfigError: no database is configured, or the storage settings are malformed.
    """
    settings = Settings.load()
    return AsyncProjects(configured_tables(settings), configured_storage(settings))


def _one(rows: Sequence[Row], project_id: str) -> Row:
    if not rows:
        raise ProjectNotFound(f"There is no project {project_id}.")
    return rows[0]
