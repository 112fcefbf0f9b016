"""Projects of a video studio: store them, synchronise them, and render them as films.

The functions wait for their result; `AsyncProjects` has them as methods for an event loop.
"""

from handlers.projects.files import ProjectError
from handlers.projects.handler import app
from handlers.projects.store import AsyncProjects, ProjectNotFound, configured
from handlers.projects.sync import ProjectSync
from handlers.projects.sync_client import (
    close,
    create_project,
    list_voices,
    load_project,
    reorder_clips,
    request_export,
    save_audio_file,
    save_clip,
    save_clip_record,
    save_export,
    save_voice,
    sync_scenes,
    update_project,
    upload_audio,
    upload_video_clip,
)

__all__ = [
    "AsyncProjects",
    "ProjectError",
    "ProjectNotFound",
    "ProjectSync",
    "app",
    "close",
    "configured",
    "create_project",
    "list_voices",
    "load_project",
    "reorder_clips",
    "request_export",
    "save_audio_file",
    "save_clip",
    "save_clip_record",
    "save_export",
    "save_voice",
    "sync_scenes",
    "update_project",
    "upload_audio",
    "upload_video_clip",
]
