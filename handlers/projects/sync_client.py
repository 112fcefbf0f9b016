"""The methods of `AsyncProjects` as functions, for programs without an event loop.

They use the database and the storage of the environment, and wait for their result.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

from handlers.projects.store import AsyncProjects, configured
from listener.kit.sync import SyncClient, waits

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _client() -> SyncClient[AsyncProjects]:
    return SyncClient(configured())


def _function(method: Callable[Concatenate[AsyncProjects, P], Awaitable[T]]) -> Callable[P, T]:
    waiting = waits(method)

    @wraps(method)
    def call(*args: P.args, **options: P.kwargs) -> T:
        return waiting(_client(), *args, **options)

    return call


create_project = _function(AsyncProjects.create_project)
update_project = _function(AsyncProjects.update_project)
load_project = _function(AsyncProjects.load_project)
sync_scenes = _function(AsyncProjects.sync_scenes)
save_clip = _function(AsyncProjects.save_clip)
save_clip_record = _function(AsyncProjects.save_clip_record)
reorder_clips = _function(AsyncProjects.reorder_clips)
upload_video_clip = _function(AsyncProjects.upload_video_clip)
upload_audio = _function(AsyncProjects.upload_audio)
save_audio_file = _function(AsyncProjects.save_audio_file)
save_voice = _function(AsyncProjects.save_voice)
list_voices = _function(AsyncProjects.list_voices)
request_export = _function(AsyncProjects.request_export)
save_export = _function(AsyncProjects.save_export)


def close() -> None:
    """Close the connections; the next call opens new ones."""
    if _client.cache_info().currsize:
        client = _client()
        _client.cache_clear()
        client.close()
