"""The methods of `AsyncProjects` as functions that wait, for programs without an event loop. They work on the database
and the storage that the environment names, and mean and raise the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

from handlers.projects.store import AsyncProjects, configured
from listener.kit.sync import Blocking

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _projects() -> tuple[Blocking, AsyncProjects]:
    return Blocking(), configured()


def _waiting(method: Callable[Concatenate[AsyncProjects, P], Awaitable[T]]) -> Callable[P, T]:
    @wraps(method)
    def call(*args: P.args, **options: P.kwargs) -> T:
        blocking, projects = _projects()
        return blocking.call(method, projects, *args, **options)

    return call


create_project = _waiting(AsyncProjects.create_project)
update_project = _waiting(AsyncProjects.update_project)
load_project = _waiting(AsyncProjects.load_project)
sync_scenes = _waiting(AsyncProjects.sync_scenes)
save_clip = _waiting(AsyncProjects.save_clip)
save_clip_record = _waiting(AsyncProjects.save_clip_record)
reorder_clips = _waiting(AsyncProjects.reorder_clips)
upload_video_clip = _waiting(AsyncProjects.upload_video_clip)
upload_audio = _waiting(AsyncProjects.upload_audio)
save_audio_file = _waiting(AsyncProjects.save_audio_file)
save_voice = _waiting(AsyncProjects.save_voice)
list_voices = _waiting(AsyncProjects.list_voices)
request_export = _waiting(AsyncProjects.request_export)
save_export = _waiting(AsyncProjects.save_export)


def close() -> None:
    """Give back the connections; the next call opens new ones."""
    if _projects.cache_info().currsize:
        blocking, projects = _projects()
        _projects.cache_clear()
        blocking.call(projects.close)
        blocking.close()
