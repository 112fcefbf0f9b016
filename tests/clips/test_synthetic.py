"""Clips that need no provider, and requests that make no sense."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from PIL import Image
from pydantic import AliasChoices

from handlers.clips import ClipError, Request
from handlers.clips.model import State
from handlers.clips.settings import ClipsSettings
from handlers.clips.synthetic import Synthetic
from listener.kit import ffmpeg, media
from listener.testing import Harness

from .conftest import Open


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("16:9", (1280, 720)), ("9:16", (720, 1280)), ("1:1", (720, 720)), ("21:9", (1680, 720))],
)
async def test_it_has_the_wanted_length_and_aspect(
    tmp_path: Path, aspect: str, size: tuple[int, int]
) -> None:
    request = Request("Füchse & 100% 'quoted': a fox\nin the snow", duration=0.6, aspect_ratio=aspect)
    clip = tmp_path / "clip.mp4"
    await Synthetic().collect(request, State("done"), clip, lambda *_: None)
    found = await media.probe(clip, count_frames=True)
    assert found.video is not None
    assert found.audio is not None
    assert (found.video.width, found.video.height, found.video.frames) == (*size, 15)


async def test_it_moves_and_shows_the_words(tmp_path: Path) -> None:
    frames: dict[str, list[bytes]] = {}
    for prompt in ("a red fox", "a red fix"):
        clip = tmp_path / "clip.mp4"
        await Synthetic().collect(Request(prompt, duration=1), State("done"), clip, lambda *_: None)
        await ffmpeg.run(["-i", clip, "-vf", "fps=2,scale=64:36", tmp_path / "frame%d.png"])
        pictures = [Image.open(tmp_path / f"frame{number}.png") for number in (1, 2)]
        frames[prompt] = [picture.convert("RGB").tobytes() for picture in pictures]
    assert len({*frames["a red fox"], *frames["a red fix"]}) == 4


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": " \n"}, "is empty"),
        ({}, "There is no prompt"),
        ({"prompt": {"text": "a fox"}}, "prompt must be a text"),
        ({"prompt": "a", "duration": 0}, "must last more than 0 s"),
        ({"prompt": "a", "duration": "NaN"}, "must last more than 0 s"),
        ({"prompt": "a", "duration": "long"}, "number of seconds"),
        ({"prompt": "a", "aspect_ratio": "16/9"}, "'16/9' is not an aspect ratio"),
        ({"prompt": "a", "aspect_ratio": "99:1"}, "from 1:4 to 4:1"),
        ({"prompt": "a", "image_url": "file:///etc/passwd"}, "https address"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ClipError, match=says):
        Request.of(row)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Request("x" * 50_000), r"50,000 characters; the limit is 2,500 \(CLIPS_MAX_PROMPT\)"),
        (Request("a", duration=61), r"61 s can't be made; the limit is 60 s \(CLIPS_MAX_SECONDS\)"),
    ],
)
def test_a_request_above_a_limit_is_refused(asked: Request, says: str) -> None:
    with pytest.raises(ClipError, match=says):
        asked.check(max_prompt=2500, max_seconds=60)


async def test_without_a_provider_a_clip_is_drawn(studio: Open, configure: Callable[..., None]) -> None:
    configure(CLIPS_PROVIDER="synthetic")
    async with studio() as room:
        row = await room.ended(await room.ask("a fox", aspect_ratio="4:5"))
        assert (row["status"], row["provider"], row["width"], row["height"]) == (
            "success",
            "synthetic",
            720,
            896,
        )
        row = await room.ended(await room.ask("a fox", provider="nobody"))
        assert row["error"] == "There is no provider 'nobody'; choose one of synthetic, fal."
        row = await room.ended(await room.ask("a fox", provider="fal"))
        assert row["error"] == "The provider fal needs a key; set FAL_KEY, or choose the provider synthetic."
        row = await room.ended(await room.ask("x" * 50_000))
        assert row["error"] == "The prompt has 50,000 characters; the limit is 2,500 (CLIPS_MAX_PROMPT)."


async def test_a_clip_that_is_done_again_replaces_its_own(
    studio: Open, configure: Callable[..., None]
) -> None:
    configure(CLIPS_PROVIDER="synthetic")
    async with studio() as room:
        first = await room.ended(job := await room.ask("a fox"))
        await room.db.execute("update clips set start_trim = 0.2, order_index = 7")
        await room.db.execute("update clip_jobs set prompt = 'a hare', status = 'queued'")
        second = await room.ended(job)
        assert first["file_url"] != second["file_url"]
        clip = await room.db.fetchrow("select * from clips")
        assert clip is not None
        assert (clip["prompt"], clip["storage_key"]) == ("a hare", second["storage_key"])
        assert (float(clip["start_trim"]), clip["order_index"]) == (0.2, 7)


async def refused(harness: Harness, user: str, sql: str, *values: Any) -> bool:
    """Whether a browser may not do this, or changes nothing by it."""
    try:
        async with harness.acting_as(user) as browser:
            return str(await browser.execute(sql, *values)).endswith(" 0")
    except asyncpg.InsufficientPrivilegeError:
        return True


async def test_a_browser_orders_for_its_own_projects_and_forges_nothing(
    studio: Open, configure: Callable[..., None]
) -> None:
    configure(CLIPS_PROVIDER="synthetic")
    order = "insert into clip_jobs (project_id, prompt, duration) values ($1, 'a fox', 0.5)"
    async with studio() as room:
        mine, theirs = str(uuid4()), str(uuid4())
        async with room.harness.acting_as(mine) as browser:
            project = await browser.fetchval("insert into projects (title) values ('mine') returning id")
            await browser.execute(order, project)
        job = await room.db.fetchval("select id from clip_jobs")
        assert (await room.ended(str(job)))["status"] == "success"
        async with room.harness.acting_as(mine) as browser:
            assert await browser.fetchval("select count(*) from clip_jobs") == 1
        assert await refused(room.harness, theirs, order, project)
        assert await refused(room.harness, theirs, "update clip_jobs set status = 'cancelled'")
        assert await refused(room.harness, theirs, "delete from clip_jobs")
        assert await refused(room.harness, mine, "update clip_jobs set storage_key = 'projects/x/clips/y'")
        # A visitor who is not signed in sees rows without an owner and orders nothing.
        await room.db.execute(
            "insert into clip_jobs (project_id, prompt, status) values ($1, 'b', 'error')", room.project
        )
        async with room.db.transaction():
            await room.db.execute("set local role anon")
            assert [row["prompt"] for row in await room.db.fetch("select prompt from clip_jobs")] == ["b"]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await room.db.execute(order, room.project)


def test_the_page_lists_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs/clips.md").read_text(encoding="utf-8")
    aliases = [field.validation_alias for field in ClipsSettings.model_fields.values()]
    names = [alias.choices[0] for alias in aliases if isinstance(alias, AliasChoices)]
    assert len(names) == len(aliases)
    assert re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE) == names
