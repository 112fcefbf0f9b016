"""Clips by a provider, and everything that it may answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import httpx
import pytest

from handlers.clips import fal as adapter
from handlers.clips import handler
from listener.kit import storage
from tests.support.databases import Connect
from tests.support.harness import until

from .conftest import KEY, Open
from .provider import COMPLETED, CUT, IN_PROGRESS, IN_QUEUE, Answer, FalServer

MODERATION: Answer = (
    422,
    {"detail": [{"loc": ["body", "prompt"], "msg": "flagged", "type": "content_policy_violation"}]},
)


async def test_a_prompt_becomes_a_clip_of_its_project(
    by_fal: Open, fal: FalServer, configure: Callable[..., None]
) -> None:
    configure(CLIPS_FAL_INPUT='{"resolution": "720p"}')
    fal.on_status["a fox"] = [IN_QUEUE, IN_PROGRESS]
    async with by_fal() as studio:
        scene = await studio.db.fetchval(
            "insert into scenes (project_id) values ($1) returning id", studio.project
        )
        job = await studio.ask("a fox", duration=5, aspect_ratio="9:16", scene_id=scene)
        row = await studio.ended(job)
        assert (row["status"], row["progress"], row["error"], row["provider"]) == (
            "success",
            100,
            None,
            "fal",
        )
        assert (row["width"], row["height"], float(row["seconds"])) == (320, 180, 1.0)
        clip = await studio.db.fetchrow("select * from clips")
        assert clip is not None
        assert (str(clip["id"]), clip["scene_id"], clip["prompt"]) == (job, scene, "a fox")
        assert (clip["file_url"], clip["storage_key"]) == (row["file_url"], row["storage_key"])
        async with httpx.AsyncClient(trust_env=False) as browser:
            assert (await browser.get(row["file_url"])).content == fal.clip
            picture = await browser.get(row["thumbnail_url"])
        assert picture.headers["content-type"] == "image/jpeg"
        # What the keys name is what the addresses lead to.
        for bucket, key, url in (
            ("clips", clip["storage_key"], row["file_url"]),
            ("thumbnails", clip["thumbnail_key"], row["thumbnail_url"]),
        ):
            ours = await storage.current().url(bucket, key, expires=timedelta(days=1))
            assert ours.partition("?")[0] == url.partition("?")[0]
    assert fal.submitted == [
        (
            "fal-ai/pika/v2.2/text-to-video",
            {"prompt": "a fox", "duration": 5, "aspect_ratio": "9:16", "resolution": "720p"},
        )
    ]
    assert fal.keys == {f"Key {KEY}"}


ELSEWHERE = {
    "request_id": "1",
    "status_url": "https://elsewhere.com/1",
    "response_url": "https://elsewhere.com/",
}
REFUSALS: dict[str, tuple[Answer, str]] = {
    "moderation": (MODERATION, "fal rejects the request: flagged."),
    "key": ((401, {"detail": "no such key"}), r"fal rejects the key; correct FAL_KEY \(no such key\)."),
    "500": (
        (500, {}),
        "It is unknown whether the provider received the request: fal responded with status 500",
    ),
    "cut": (CUT, "It is unknown .* It is not sent again, because it could be paid twice"),
    "html": ((200, b"<html>"), "It is unknown .*it is no JSON"),
    "text": ((200, b'"yes"'), "It is unknown .*it is no JSON object"),
    "endless": ((200, b" " * 2_000_000), "It is unknown .*larger than 1048576 bytes"),
    "elsewhere": ((200, ELSEWHERE), "It is unknown .*has no request_id or no URLs"),
}


async def test_what_was_refused_or_may_have_been_taken_is_not_sent_again(
    by_fal: Open, fal: FalServer
) -> None:
    for prompt, (answer, _) in REFUSALS.items():
        fal.on_submit[prompt] = [answer]
    async with by_fal() as studio:
        jobs = {prompt: await studio.ask(prompt) for prompt in REFUSALS}
        for prompt, (_, says) in REFUSALS.items():
            row = await studio.ended(jobs[prompt])
            assert row["status"] == "error"
            assert re.search(says, row["error"])
            assert KEY not in row["error"]
            warned = "It is unknown" in await studio.warnings(jobs[prompt])
            assert (prompt, warned) == (prompt, says.startswith("It is unknown"))
            assert fal.times(prompt) == 1
        assert await studio.db.fetchval("select count(*) from clips") == 0


async def test_a_silent_provider_may_have_taken_it(
    by_fal: Open, fal: FalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "TIMEOUT", httpx.Timeout(0.3))
    fal.hold("submit", "a fox")
    async with by_fal() as studio:
        row = await studio.ended(await studio.ask("a fox"))
        assert "It is unknown" in row["error"]
    assert fal.times("a fox") == 1


async def test_a_quota_that_is_used_up_is_waited_for(by_fal: Open, fal: FalServer) -> None:
    fal.on_submit["a fox"] = [(429, {"detail": "slow down"})] * 4
    async with by_fal() as studio:
        job = await studio.ask("a fox")
        assert (await studio.ended(job))["status"] == "success"
        # No attempt was spent on it.
        assert await studio.db.fetchval("select max(attempt) from listener.attempt") == 1
    assert fal.times("a fox") == 5


async def test_a_provider_that_is_away_gets_it_later(by_fal: Open, fal: FalServer) -> None:
    fal.close()
    async with by_fal() as studio:
        row = await studio.ended(await studio.ask("a fox"))
        assert row["error"] == "fal can't be reached (ConnectError)."
        assert await studio.db.fetchval("select max(attempt) from listener.attempt") == 3


async def test_whatever_goes_wrong_while_waiting_costs_nothing(by_fal: Open, fal: FalServer) -> None:
    fal.on_status["a fox"] = [
        (500, {}),
        CUT,
        (200, b"{"),
        (200, {"status": "DANCING"}),
        (429, {}),
        (409, {}),
        IN_PROGRESS,
    ]
    async with by_fal() as studio:
        assert (await studio.ended(await studio.ask("a fox")))["status"] == "success"
    assert fal.times("a fox") == 1


async def test_a_clip_that_is_none_fails_with_a_sentence(
    by_fal: Open, fal: FalServer, configure: Callable[..., None]
) -> None:
    configure(CLIPS_MAX_MB="1")
    ended = {"status": "COMPLETED", "error": "x", "error_type": "content_policy_violation"}
    fal.on_status["failed"] = [(200, ended)]
    fal.on_result["moderation"] = MODERATION
    fal.on_result["nowhere"] = (200, {"video": {}})
    fal.on_result["inner network"] = (200, {"video": {"url": "http://10.0.0.1/a.mp4"}})
    fal.clips["no video"] = b"<html>no clip</html>"
    fal.clips["too large"] = b"x" * 1_100_000
    says = {
        "failed": "fal rejects the request: x.",
        "moderation": "fal rejects the request: flagged.",
        "nowhere": "fal reports the clip as completed, but sends no URL of it.",
        "inner network": "can't be downloaded",
        "no video": "The file from fal is not a video",
        "too large": "is larger than 1048576 bytes",
    }
    async with by_fal() as studio:
        jobs = {prompt: await studio.ask(prompt) for prompt in says}
        for prompt, job in jobs.items():
            row = await studio.ended(job)
            assert (prompt, row["status"], fal.times(prompt)) == (prompt, "error", 1)
            assert says[prompt] in row["error"]


async def test_a_request_that_the_provider_could_not_do_is_ordered_anew(by_fal: Open, fal: FalServer) -> None:
    fal.on_status["a fox"] = [
        (200, {"status": "COMPLETED", "error": "out of GPUs", "error_type": "internal"})
    ]
    async with by_fal() as studio:
        assert (await studio.ended(await studio.ask("a fox")))["status"] == "success"
    assert fal.times("a fox") == 2


async def test_what_takes_too_long_is_cancelled(
    by_fal: Open, fal: FalServer, configure: Callable[..., None]
) -> None:
    configure(CLIPS_PATIENCE="0.3")
    fal.on_status["a fox"] = [IN_PROGRESS] * 100
    async with by_fal() as studio:
        row = await studio.ended(await studio.ask("a fox"))
        assert "did not deliver within" in row["error"]
    assert fal.cancelled == ["r1"]


async def test_while_it_is_made_its_row_says_so_and_who_ends_the_row_ends_the_order(
    by_fal: Open, fal: FalServer
) -> None:
    prompts = ("in the queue, 3 before it", "being made", "deleted", "wanted")
    for prompt in prompts:
        fal.on_status[prompt] = [IN_QUEUE if "queue" in prompt else IN_PROGRESS] * 1000
    async with by_fal() as studio:
        jobs = {prompt: await studio.ask(prompt) for prompt in prompts}
        for prompt in prompts[:2]:
            says = "select true from clip_jobs where prompt = $1 and message = $1 and status = 'running'"
            await until(partial(studio.db.fetchval, says, prompt))
        await until(lambda: len(fal.submitted) == len(prompts))
        await until(lambda: studio.db.fetchval("select bool_and(state = 'scheduled') from listener.delivery"))
        await studio.db.execute("select listener.cancel('clips', $1)", [jobs["being made"]])
        await studio.db.execute("delete from clip_jobs where id = $1", jobs["deleted"])
        await handler.cancel_at_provider()
        unwanted = {fal.number(prompt) for prompt in ("being made", "deleted")}
        assert set(fal.cancelled) == unwanted
        fal.on_status.clear()
        assert (await studio.ended(jobs["wanted"]))["status"] == "success"


async def test_a_request_that_was_changed_is_another(by_fal: Open, fal: FalServer) -> None:
    fal.on_status["a fox"] = [IN_PROGRESS] * 1000
    async with by_fal() as studio:
        job = await studio.ask("a fox")
        saved = "select checkpoint -> 'ref' ->> 'request_id' from listener.delivery"
        await until(lambda: studio.db.fetchval(saved))
        await studio.db.execute("update clip_jobs set prompt = 'a hare' where id = $1", job)
        assert (await studio.ended(job))["status"] == "success"
        assert await studio.db.fetchval("select prompt from clips") == "a hare"
        assert "is cancelled" in await studio.warnings(job)
    assert (fal.cancelled, fal.times("a hare")) == (["r1"], 1)


async def test_waiting_holds_no_slot(by_fal: Open, fal: FalServer) -> None:
    """More are at the provider than the room has slots."""
    async with by_fal() as studio:
        prompts = [f"fox {number}" for number in range(8)]
        for prompt in prompts:
            fal.on_status[prompt] = [IN_QUEUE] * 1000
            await studio.ask(prompt)
        await until(lambda: len(fal.submitted) == 8)
        for prompt in prompts:
            fal.on_status[prompt] = [COMPLETED]
        await until(lambda: studio.db.fetchval("select count(*) = 8 from clips"), 20)
    assert sorted(content["prompt"] for _, content in fal.submitted) == prompts


@pytest.mark.parametrize("ending", ["kept", "deleted"])
async def test_a_clip_ends_beside_somebody_who_holds_its_project(
    by_fal: Open, fal: FalServer, connect: Connect, ending: str
) -> None:
    hold = fal.hold("file", "a fox")
    user = await connect()
    async with by_fal() as studio:
        job = await studio.ask("a fox")
        await until(hold.reached.is_set)
        async with user.transaction():
            await user.execute("select from projects for update")
            hold.go_on.set()
            blocked = "select count(*) > 0 from pg_locks where not granted"
            await until(lambda: studio.db.fetchval(blocked))
            if ending == "deleted":
                await user.execute("delete from projects")
        if ending == "kept":
            assert (await studio.ended(job))["status"] == "success"
        await until(lambda: studio.db.fetchval("select count(*) = 0 from listener.delivery"))
        assert await studio.db.fetchval("select count(*) from clips") == (ending == "kept")
