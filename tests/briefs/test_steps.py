"""The seven types of job, each on real files, the whole way from the posted brief to what a browser downloads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from handlers import briefs
from handlers.briefs import transcode
from handlers.briefs.settings import settings
from handlers.briefs.step import BUCKET, check_length
from listener.kit import ffmpeg, media
from listener.testing import Harness, running_app
from tests.support.harness import until
from tests.support.media import pixel, seconds, video_of

from .conftest import USER

TOKEN = "a-token-of-some-length"


@dataclass
class Scene:
    harness: Harness
    folder: Path
    client: httpx.AsyncClient

    async def upload(self, name: str, *arguments: str) -> str:
        """Something that FFmpeg makes, in the user's folder; returns its key."""
        path = self.folder / name
        await ffmpeg.run([*arguments, path])
        return await self.store(path)

    async def store(self, path: Path) -> str:
        await self.harness.files.upload(BUCKET, path, f"{USER}/{path.name}")
        return f"{USER}/{path.name}"

    async def brief(self, **fields: Any) -> str:
        body = {"user_id": USER, "title": "Bees", "use_pipeline": True, **fields}
        answer = await self.client.post("/api/briefs", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["brief"]["id"])

    async def ended(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Wait for the end of a brief; returns its row, and the results of its steps by type."""
        db = self.harness.connection
        word = "select status from briefs where id = $1 and status in ('completed', 'failed', 'cancelled')"
        await until(lambda: db.fetchval(word, id), within=50)
        brief = await db.fetchrow("select status, error, result from briefs where id = $1", id)
        steps = await db.fetch("select type, result from jobs where brief_id = $1 order by step", id)
        assert brief is not None
        results = {step["type"]: json.loads(step["result"] or "null") for step in steps}
        return {"status": brief["status"], "error": brief["error"], **results}

    async def done(self, id: str) -> dict[str, Any]:  # noqa: A002
        ended = await self.ended(id)
        assert ended["status"] == "completed", ended["error"]
        return ended

    async def job(self, type: str, **columns: Any) -> dict[str, Any]:  # noqa: A002
        """A job beside the pipelines, once it has ended."""
        job = await briefs.AsyncBriefs().create_job(type=type, **columns)
        db = self.harness.connection
        row = await until(
            lambda: db.fetchrow(
                "select * from jobs where id = $1 and status in ('completed', 'failed')", job["id"]
            ),
            within=30,
        )
        return {**row, "result": json.loads(row["result"] or "null")}

    async def download(self, file: dict[str, Any]) -> Path:
        answer = await self.client.get(file["url"])
        assert answer.status_code == 200
        name = str(file["key"]).replace("/", "-")
        path = self.folder / name
        path.write_bytes(answer.content)
        return path


Scenery = Callable[[], AbstractAsyncContextManager[Scene]]


@pytest.fixture
def scenery(tmp_path: Path, database: str) -> Scenery:
    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        files = tmp_path / "files"
        async with (
            running_app(
                briefs.app, files, presets=("supabase_shim", "briefs"), database_url=database, api_token=TOKEN
            ) as made,
            httpx.AsyncClient(
                base_url=made.address, trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}
            ) as client,
        ):
            await made.connection.execute(
                "insert into auth.users (id) values ($1) on conflict do nothing", USER
            )
            yield Scene(made, tmp_path, client)

    return scene


TWO_SCENES = (
    *(
        "-f",
        "lavfi",
        "-i",
        "color=red:s=320x240:r=10:d=1",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=320x240:r=10:d=1",
    ),
    *(
        "-f",
        "lavfi",
        "-i",
        "sine=440:d=2",
        "-filter_complex",
        "[0][1]concat[v]",
        "-map",
        "[v]",
        "-map",
        "2:a",
    ),
)


async def test_a_video_brief_with_a_storyboard(scenery: Scenery) -> None:
    async with scenery() as made:
        key = await made.upload("two.mp4", *TWO_SCENES)
        steps = ["analysis", "asset_prep", "storyboard", "video_generation", "render"]
        query = "Generate a vertical video of 1 second about the bees"
        id = await made.brief(  # noqa: A001
            media_type="video",
            query=query,
            steps=steps,
            metadata={"assets": [key], "prompts": ["bees"]},
        )
        reported = await made.done(id)

        seen = reported["analysis"]
        assert (seen["language"], seen["intent"], seen["seconds"], seen["aspect_ratio"]) == (
            "en",
            "create",
            1,
            "9:16",
        )
        (asset,) = seen["assets"]
        assert (asset["kind"], asset["width"], asset["duration"], asset["scenes"]) == (
            "video",
            320,
            2.0,
            [0.0, 1.0],
        )
        assert -40 < asset["loudness"] < -5

        (prepared,) = reported["asset_prep"]["assets"]
        normal, proxy = await made.download(prepared), await made.download(prepared["proxy"])
        assert (await video_of(normal)).fps == 30
        assert (await media.probe(proxy)).audio is not None
        assert len(prepared["thumbnails"]) == 3
        with Image.open(await made.download(prepared["waveform"])) as picture:
            assert picture.size == (1200, 200)

        assert [(scene["start"], scene["end"]) for scene in reported["storyboard"]["scenes"]] == [
            (0.0, 1.0),
            (1.0, 2.0),
        ]
        with Image.open(await made.download(reported["storyboard"]["scenes"][0]["picture"])) as picture:
            red, green, blue = pixel(picture, 100, 100)
            assert red > 200 > 60 > max(green, blue), "the first scene is red"

        assert [clip["prompt"] for clip in reported["video_generation"]["clips"]] == ["bees"]
        film = await media.probe(await made.download(reported["render"]), count_frames=True)
        assert film.video is not None
        assert (film.video.width, film.video.height) == (720, 1280)
        assert abs(seconds(film) - 3) < 0.1, "the upload, and a second of bees"


async def test_an_image_brief_becomes_a_slideshow_with_music(scenery: Scenery) -> None:
    async with scenery() as made:
        portrait = made.folder / "portrait.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter to the right
        exif[0x010F] = "Secret Camera"
        Image.new("RGB", (400, 200), (0, 128, 0)).save(portrait, exif=exif)
        music = await made.upload("music.mp3", "-f", "lavfi", "-i", "sine=300:d=2")
        metadata = {
            "assets": [await made.store(portrait), music],
            "aspect_ratio": "1:1",
            "image": {
                "width": 300,
                "height": 300,
                "fit": "contain",
                "background": "#ff0000",
                "format": "png",
            },
        }
        reported = await made.done(await made.brief(media_type="image", metadata=metadata))
        (picture,) = reported["image_processing"]["pictures"]
        path = await made.download(picture)
        with Image.open(path) as image:
            assert (image.format, image.size) == ("PNG", (300, 300))
            assert pixel(image, 5, 150) == (255, 0, 0), "it was upright before it was fitted"
            assert pixel(image, 150, 5)[1] > 100
        assert b"Secret Camera" not in path.read_bytes()
        film = await media.probe(await made.download(reported["render"]))
        assert film.video is not None
        assert (film.video.width, film.video.height, seconds(film)) == (720, 720, 3)
        assert (await video_of(await made.download(reported["render"]["poster"]))).is_image


async def test_an_audio_brief_becomes_a_film_with_its_sound(scenery: Scenery) -> None:
    async with scenery() as made:
        quiet = await made.upload("quiet.wav", "-f", "lavfi", "-i", "aevalsrc='0.02*sin(2000*t)':d=4")
        reported = await made.done(await made.brief(media_type="audio", metadata={"audio_url": quiet}))
        assert reported["analysis"]["assets"][0]["loudness"] < -35
        (prepared,) = reported["asset_prep"]["assets"]
        again = await made.job("analysis", payload={"user_id": USER, "assets": [prepared["key"]]})
        assert again["result"]["assets"][0]["loudness"] > -22, "made as loud as is usual"
        film = await media.probe(await made.download(reported["render"]))
        assert film.audio is not None
        assert abs(seconds(film) - 4) < 0.1


TEXT = (
    "Die Bienen fliegen von Blüte zu Blüte. Dabei tragen sie Pollen mit sich. Ohne Bienen gäbe es kaum Obst."
    " Das Wetter war gestern schön. Wer Blüten pflanzt, der hilft den Bienen."
)


async def test_a_text_brief_is_analysed_and_shown_as_cards(scenery: Scenery) -> None:
    async with scenery() as made:
        reported = await made.done(await made.brief(media_type="text", query=TEXT))
        seen = reported["text_analysis"]
        assert seen["language"] == "de"
        assert {"bienen fliegen", "pollen"} <= set(seen["keywords"])
        assert len(seen["summary"]) == 3
        assert "Das Wetter war gestern schön." not in seen["summary"]
        assert seen["readability"]["sentences"] == 5
        film = await video_of(await made.download(reported["render"]))
        assert (film.width, film.height) == (1280, 720)
        board = await made.job("storyboard", payload={"user_id": USER, "title": "Bienen", "query": TEXT})
        scenes = board["result"]["scenes"]
        assert [scene["text"] for scene in scenes][:2] == ["Bienen", "Die Bienen fliegen von Blüte zu Blüte."]
        assert scenes[0]["end"] == scenes[1]["start"] == 2.0


IMPOSSIBLE: list[tuple[str, dict[str, Any], str]] = [
    (
        "analysis",
        {"metadata": {"assets": ["somebody-else/a.mp4"]}},
        "asset1 does not lie in this user's folder of the storage",
    ),
    ("analysis", {"metadata": {"video_url": f"{USER}/none.mp4"}}, "asset1 is not in the storage"),
    ("analysis", {"metadata": {"video_url": "http://127.0.0.1/a.mp4"}}, "is not an https address"),
    ("analysis", {"metadata": {"assets": "a.mp4"}}, "assets must be a list of addresses"),
    ("analysis", {"metadata": {"assets": ["data:;base64,AAAA"]}}, "asset1"),
    (
        "analysis",
        {"metadata": {"assets": ["x"] * 51}},
        "brings 51 files; the limit is 50 (BRIEFS_MAX_ASSETS)",
    ),
    ("image_processing", {}, "The brief has no picture"),
    ("image_processing", {"metadata": {"image": {"width": 99999}}}, "whole numbers from 1 to 8192"),
    ("image_processing", {"metadata": {"image": {"colour": 1}}}, "A picture has no colour; it has width"),
    ("image_processing", {"metadata": {"image_url": f"{USER}/bomb.png"}}, "asset1 "),
    ("text_analysis", {}, "There is no text"),
    ("video_generation", {"metadata": {"prompts": ["a"] * 11}}, "the limit is 10 (BRIEFS_MAX_CLIPS)"),
    ("video_generation", {"payload": {"query": "x" * 50_000}}, "50,000 characters; the limit is"),
    (
        "render",
        {"metadata": {"aspect_ratio": "17:1", "title": "A"}},
        "aspect_ratio is '17:1'; it can be 16:9",
    ),
    ("render", {}, "nothing to show"),
]


async def test_what_cannot_be_done_fails_with_a_sentence(scenery: Scenery) -> None:
    async with scenery() as made:
        bomb = made.folder / "bomb.png"
        Image.new("1", (12_000, 12_000)).save(bomb)
        await made.store(bomb)

        made_by_hand = briefs.AsyncBriefs()
        for type, columns, _ in IMPOSSIBLE:  # noqa: A001 - the column's name
            payload = {"user_id": USER, **columns.get("payload", {})}
            await made_by_hand.create_job(type=type, **{**columns, "payload": payload})
        db = made.harness.connection
        await until(
            lambda: db.fetchval("select bool_and(status in ('completed', 'failed')) from jobs"), within=30
        )
        ended = await db.fetch("select * from jobs order by created_at")
        for job, (_, _, sentence) in zip(ended, IMPOSSIBLE, strict=True):
            assert sentence in (job["error"] or job["result"])
            assert (job["status"], job["attempts"]) == ("failed", 1)


async def test_an_asset_that_is_too_large_fails_with_the_limit(
    scenery: Scenery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scenery() as made:
        picture = made.folder / "noise.png"
        Image.effect_noise((100, 100), 50).save(picture)
        key = await made.store(picture)
        monkeypatch.setattr("handlers.briefs.step._MB", 1)
        job = await made.job("analysis", payload={"user_id": USER}, metadata={"image_url": key})
        assert job["status"] == "failed"
        assert job["error"] == "asset1 is too large; the limit is 2048 MB (BRIEFS_MAX_FILE_MB)."


@pytest.mark.parametrize("step", ["analysis", "asset_prep"])
async def test_an_asset_that_is_too_long_fails_with_the_limit(scenery: Scenery, step: str) -> None:
    async with scenery() as made:
        # Two pictures, so far apart that each second between them would be made.
        far = ["-vf", "setpts=N*1e7/TB", "-fps_mode", "passthrough", "-c:v", "libx264"]
        key = await made.upload("far.mkv", "-f", "lavfi", "-i", "color=s=64x64:r=1:d=2", *far)
        job = await made.job(step, payload={"user_id": USER}, metadata={"video_url": key})
        assert job["status"] == "failed"
        assert job["error"] == "asset1 is longer than 4 hours, the limit (BRIEFS_MAX_HOURS)."


async def test_no_header_prolongs_the_work_on_an_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIEFS_MAX_HOURS", "0.0005")
    settings.cache_clear()
    path = tmp_path / "long.wav"
    await ffmpeg.run(["-f", "lavfi", "-i", "sine=d=20", path])
    found = replace(await media.probe(path), duration=None)
    try:
        check_length("long", found)
        made = await transcode.audio(path, found, tmp_path, "made", lambda percent, message: None)
        with pytest.raises(briefs.BriefError, match=r"made is longer than 0\.0005 hours"):
            check_length("made", await media.probe(made["file"]))
        assert seconds(await media.probe(made["file"])) < 4
    finally:
        settings.cache_clear()


async def test_a_generation_goes_on_behind_the_clip_that_is_there(scenery: Scenery) -> None:
    async with scenery() as made:
        job = await briefs.AsyncBriefs().create_job(
            type="video_generation",
            payload={"user_id": USER},
            metadata={"prompts": ["one", "two"], "clip_seconds": 1},
        )
        db = made.harness.connection
        ordered = "select true from listener.delivery where checkpoint->'clips'->0 is not null"
        await until(lambda: db.fetchval(f"{ordered} and checkpoint->'order'->>'ref' is not null"))
        # The service shuts down in the middle of the second one.
    async with scenery() as made:
        db = made.harness.connection
        result = await until(
            lambda: db.fetchval("select result from jobs where id = $1 and status = 'completed'", job["id"]),
            within=30,
        )
        one, two = json.loads(result)["clips"]
        fences = [int(clip["key"].rpartition("-")[2].removesuffix(".mp4")) for clip in (one, two)]
        assert fences[0] < fences[1]
        assert [clip["prompt"] for clip in (one, two)] == ["one", "two"]
        await made.harness.files.download(BUCKET, one["key"], made.folder)


async def test_a_row_may_allow_fewer_attempts(scenery: Scenery, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scenery() as made:
        # The storage is away for a while: this is tried again, unless no attempt is left.
        monkeypatch.setattr("listener.kit.storage.api._current", None)
        job = await made.job(
            "analysis", payload={"user_id": USER, "assets": [f"{USER}/a.mp4"]}, max_attempts=1
        )
        assert (job["status"], job["attempts"]) == ("failed", 1)
        assert "No storage is configured" in job["error"]
