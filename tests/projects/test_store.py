"""The store of projects."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

import handlers.projects
from handlers.projects import AsyncProjects, ProjectError, ProjectNotFound
from listener.kit.storage import LocalStorage
from listener.kit.tables import TablesError
from listener.kit.tables.postgres import PostgresTables


async def test_a_project_is_loaded_as_it_was_saved(projects: AsyncProjects) -> None:
    made = await projects.create_project("By the sea", settings={"fps": 25})
    assert (made["title"], made["script"], made["user_id"]) == ("By the sea", "", None)
    changed = await projects.update_project(made["id"], script="A day.")
    assert (changed["title"], changed["script"]) == ("By the sea", "A day.")
    assert changed["updated_at"] > made["updated_at"]
    loaded = await projects.load_project(made["id"])
    assert loaded == changed | {"scenes": [], "clips": [], "audio_files": [], "exports": []}
    for missing in (projects.load_project(str(uuid4())), projects.update_project(str(uuid4()), title="x")):
        with pytest.raises(ProjectNotFound, match="There is no project"):
            await missing
    with pytest.raises(ProjectError, match="No field is given"):
        await projects.update_project(made["id"])


async def test_scenes_become_those_that_are_listed(projects: AsyncProjects, db: asyncpg.Connection) -> None:
    project = (await projects.create_project())["id"]
    own = str(uuid4())
    first = await projects.sync_scenes(
        project, [{"title": "one", "prompt": "p1"}, {"id": own, "title": "two"}, {"title": "three"}]
    )
    assert [(row["title"], row["order_index"]) for row in first] == [("one", 0), ("two", 1), ("three", 2)]
    assert first[1]["id"] == own
    untouched = await db.fetchval("select xmin::text from scenes where title = 'one'")
    second = await projects.sync_scenes(
        project, [{"id": first[0]["id"]}, {"title": "new"}, {"id": own, "description": "reported"}]
    )
    assert [row["title"] for row in second] == ["one", "new", "two"]
    assert (second[0]["prompt"], second[2]["description"]) == ("p1", "reported")
    # Unchanged rows are not written, so that no browser is notified.
    assert await db.fetchval("select xmin::text from scenes where title = 'one'") == untouched
    assert await projects.sync_scenes(project, []) == []


async def test_scenes_are_synced_whole_or_not_at_all(projects: AsyncProjects) -> None:
    project, other = [(await projects.create_project())["id"] for _ in range(2)]
    (stranger,) = await projects.sync_scenes(other, [{"title": "theirs"}])
    before = await projects.sync_scenes(project, [{"title": "one"}])
    for scenes, says in (
        ([{"title": "two"}, {"id": stranger["id"], "title": "mine now"}], "belongs to another project"),
        ([{"title": "two", "duration": "long"}], "invalid input syntax"),
    ):
        with pytest.raises(TablesError, match=says):
            await projects.sync_scenes(project, scenes)
    with pytest.raises(TablesError, match="there is no project"):
        await projects.sync_scenes(str(uuid4()), [{"title": "two"}])
    loaded = await projects.load_project(project)
    assert loaded["scenes"] == before
    assert (await projects.load_project(other))["scenes"] == [stranger]


async def test_clips_keep_their_order(projects: AsyncProjects) -> None:
    project = (await projects.create_project())["id"]
    made = [
        await projects.save_clip_record(project, None, "pika", f"https://example.com/{name}.mp4", name)
        for name in "abcd"
    ]
    ids = {row["prompt"]: row["id"] for row in made}
    assert [row["order_index"] for row in made] == [0, 1, 2, 3]
    assert {row["storage_key"] for row in made} == {None}
    ordered = await projects.reorder_clips(project, [ids["c"], ids["a"], str(uuid4())])
    assert [(row["prompt"], row["order_index"]) for row in ordered] == [
        ("c", 0),
        ("a", 1),
        ("b", 2),
        ("d", 3),
    ]
    trimmed = await projects.save_clip({"id": ids["c"], "start_trim": 0.5, "end_trim": 1.5})
    assert (trimmed["start_trim"], trimmed["prompt"]) == (0.5, "c")
    with pytest.raises(TablesError, match="check"):
        await projects.save_clip({"id": ids["c"], "end_trim": 0.1})
    fresh = await projects.save_clip({"id": str(uuid4()), "project_id": project, "order_index": 9})
    loaded = await projects.load_project(project)
    assert [row["prompt"] for row in loaded["clips"]] == ["c", "a", "b", "d", None]
    assert loaded["clips"][-1]["id"] == fresh["id"]


async def test_files_lie_with_their_project(projects: AsyncProjects, media: Path, tmp_path: Path) -> None:
    project = (await projects.create_project())["id"]
    (scene,) = await projects.sync_scenes(project, [{"title": "one"}])
    url = await projects.upload_video_clip(project, scene["id"], (media / "red.mp4").read_bytes(), "pika")
    clip = await projects.save_clip_record(
        project_id=project, scene_id=scene["id"], provider="pika", file_url=url, prompt="red"
    )
    assert clip["storage_key"].startswith(f"projects/{project}/clips/{scene['id']}-pika-")
    assert (tmp_path / "files/clips" / clip["storage_key"]).read_bytes() == (media / "red.mp4").read_bytes()
    sound = await projects.upload_audio(project, media / "music.mp3")
    row = await projects.save_audio_file(project, sound, "music", start_time=1, volume=0.5)
    assert row["storage_key"].startswith(f"projects/{project}/audio/")
    # An address ends; what is loaded has a new one.
    await projects.save_clip({"id": clip["id"], "file_url": url.partition("?")[0] + "?expires=1"})
    (loaded,) = (await projects.load_project(project))["clips"]
    assert loaded["file_url"].partition("?")[0] == url.partition("?")[0]
    assert "expires=1&" not in loaded["file_url"]
    for upload, says in (
        (projects.upload_video_clip(project, None, b"<html>"), "can't be stored with the project"),
        (projects.upload_video_clip(project, None, media / "music.mp3"), "it has no picture"),
        (projects.upload_audio(project, media / "blue.mp4"), "it has no sound"),
    ):
        with pytest.raises(ProjectError, match=says):
            await upload


async def test_a_row_names_files_of_its_own_project_only(projects: AsyncProjects) -> None:
    project, other = [(await projects.create_project())["id"] for _ in range(2)]
    with pytest.raises(TablesError, match="check"):
        await projects.save_clip({"project_id": project, "storage_key": f"projects/{other}/clips/a.mp4"})
    (scene,) = await projects.sync_scenes(other, [{"title": "theirs"}])
    with pytest.raises(TablesError, match="foreign key"):
        await projects.save_clip_record(project, scene["id"], None, "https://example.com/a.mp4")
    elsewhere = f"https://example.com/clips/projects/{project}/clips/a.mp4"
    row = await projects.save_clip_record(project, None, None, elsewhere)
    assert (row["file_url"], row["storage_key"]) == (elsewhere, None)


async def test_voices_and_films(projects: AsyncProjects) -> None:
    voice = await projects.save_voice({"name": "Ada", "provider": "eleven", "voice_id": "x1"})
    await projects.save_voice({"id": voice["id"], "name": "Ada L."})
    assert [(row["name"], row["voice_id"]) for row in await projects.list_voices()] == [("Ada L.", "x1")]
    project = (await projects.create_project())["id"]
    reported = await projects.save_export(project, "https://example.com/film.mp4", "1280x720", 12.5)
    asked = await projects.request_export(project, "720p")
    assert (reported["status"], asked["status"]) == ("completed", "pending")
    assert [row["id"] for row in (await projects.load_project(project))["exports"]] == [
        asked["id"],
        reported["id"],
    ]


def test_functions_that_wait(
    installed: str, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", installed)
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "files"))
    try:
        project = handlers.projects.create_project("one")["id"]
        url = handlers.projects.upload_video_clip(project, None, (media / "red.mp4").read_bytes())
        handlers.projects.save_clip_record(project_id=project, scene_id=None, provider="pika", file_url=url)
        assert [row["provider"] for row in handlers.projects.load_project(project)["clips"]] == ["pika"]
    finally:
        handlers.projects.close()


async def test_two_that_sync_at_once_end_in_one_of_both(installed: str, tmp_path: Path) -> None:
    files = LocalStorage(tmp_path, "")
    made = AsyncProjects(PostgresTables(installed), files)
    project = (await made.create_project())["id"]
    await asyncio.gather(
        *(made.sync_scenes(project, [{"title": f"{who}{n}"} for n in range(5)]) for who in "ab")
    )
    titles = [row["title"] for row in (await made.load_project(project))["scenes"]]
    assert titles in ([f"a{n}" for n in range(5)], [f"b{n}" for n in range(5)])
    await made.close()
