"""From the row to the text, and what the row says when there is none."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from handlers.studio.handler import app
from listener.cli import main
from listener.kit import ffmpeg
from listener.testing import Harness, running_app
from tests.support.harness import until
from tests.support.standin.provider import CHAT, SPEECH, Provider, Refuse, providing
from tests.support.standin.stack import Stack, running

from .conftest import Configure

USER = str(uuid.uuid4())
STAGES = ["TRANSCRIBING", "ENRICHING", "REFINING", "COMPLETE"]


@dataclass
class Scene:
    """A service, the provider that it asks, and a project whose users call it."""

    harness: Harness
    provider: Provider
    project: Stack

    async def add(self, address: str | None, user: str = USER, **columns: Any) -> str:
        """As a browser does."""
        columns = {"user_id": user, "raw_audio_url": address, **columns}
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        async with self.harness.acting_as(user) as browser:
            return str(
                await browser.fetchval(
                    f"insert into studio_jobs ({', '.join(columns)}) values ({places}) returning job_id",
                    *columns.values(),
                )
            )

    async def ended(self, job: str) -> dict[str, Any]:
        async def row() -> asyncpg.Record | None:
            return await self.harness.connection.fetchrow(
                "select * from studio_jobs where job_id = $1 and status in ('COMPLETE', 'FAILED')", job
            )

        found = dict(await until(row, within=30))
        return {**found, "error_details": json.loads(found["error_details"] or "null")}

    async def upload(self, path: Path, key: str = f"{USER}/talk.ogg") -> None:
        await self.harness.files.upload("studio_audio", path, key)

    async def make(self, name: str, *args: str, folder: Path) -> None:
        """Upload what ffmpeg makes."""
        await ffmpeg.run([*args, folder / name])
        await self.upload(folder / name, f"{USER}/{name}")


Scenery = Callable[[], AbstractAsyncContextManager[Scene]]


@pytest.fixture
def scenery(tmp_path: Path, database: str, configure: Configure) -> Scenery:
    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        async with providing() as provider, running(database) as project:
            configure(speech_url=provider.url, llm_url=provider.url, llm_key="sk-of-the-model")
            keys = {"supabase_url": project.url, "supabase_service_key": project.secret_key}
            presets = ("supabase_shim", "studio_jobs")
            async with running_app(app, tmp_path, presets=presets, database_url=database, **keys) as made:
                yield Scene(made, provider, project)

    return scene


def test_without_any_provider_a_recording_becomes_a_text(configure: Configure) -> None:
    """The whole way, with what is on board: a browser's insert, pocketsphinx, the enrichment and the rules."""
    configure()
    result = CliRunner().invoke(main, ["demo", "studio"])
    assert result.exit_code == 0
    shown = result.output
    assert [line for line in shown.splitlines() if "studio_jobs: " in line] == [
        f"  studio_jobs: {word}" for word in ["NEW", *STAGES]
    ]
    assert "knows English only" in " ".join(shown.split())
    text = Path(".demo/studio.txt").read_text()
    assert text.startswith("Good morning. Today we talk about the garden. ")
    assert "\n\n" in text


async def test_a_recording_becomes_a_text(scenery: Scenery, tones: Path) -> None:
    async with scenery() as made:
        await made.upload(tones)
        job = await made.add("talk.ogg")
        row = await made.ended(job)
        assert (row["status"], row["raw_transcript"], row["refined_text"]) == (
            "COMPLETE",
            "Good morning.\nWe talk about the garden.",
            "Refined: Good morning. We talk about the garden.",
        )
        assert row["system_prompt_used"].startswith("You are the editor")
        assert row["system_prompt_used"] in made.provider.of(CHAT)[0].fields["messages"][0]["content"]
        assert 0 < row["processing_time_ms"] < 30_000
        folder = made.harness.files
        for name, content in {
            "transcript.srt": "1\n00:00:00,000 --> 00:00:02,000\nGood morning.\n",
            "transcript.vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nGood morning.\n",
            "enrichment.json": '{\n "language": "en"',
        }.items():
            path = await folder.download("studio_audio", f"{USER}/{job}/{name}", Path.cwd())
            assert path.read_text().startswith(content)
        row = await made.ended(await made.add(f"{USER}/talk.ogg", system_prompt_used="Rhyme."))
        assert row["system_prompt_used"] == "Rhyme."
        assert made.provider.of(CHAT)[1].fields["messages"][0]["content"].startswith("Rhyme.\n")


async def test_a_frontend_is_told_of_every_stage(
    scenery: Scenery, tones: Path, has_realtime: None, database: str
) -> None:
    from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent

    async with scenery() as made:
        await made.upload(tones)
        await made.add(None, user=str(uuid.uuid4()))
        reported: list[str] = []
        async with made.harness.acting_as(USER):
            pass
        browser = AsyncRealtimeClient(f"{made.project.url}/realtime/v1", made.project.publishable_key)
        await browser.connect()
        await browser.set_auth(made.project.user_token(USER))
        ready: list[object] = []

        def hear(payload: Any) -> None:
            reported.append(payload["data"]["record"]["status"])

        channel = browser.channel("studio_jobs_changes")
        channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Update,
            hear,
            table="studio_jobs",
            schema="public",
            filter=f"user_id=eq.{USER}",
        )
        channel.on_system(ready.append)
        await channel.subscribe()
        await until(lambda: ready)
        await made.add("talk.ogg")
        await until(lambda: reported[-1:] == ["COMPLETE"], within=20)
        await browser.close()
        assert reported == STAGES


async def test_a_file_that_is_no_recording_fails_with_details(scenery: Scenery, tmp_path: Path) -> None:
    async with scenery() as made:
        (tmp_path / "empty.mp3").touch()
        await made.upload(tmp_path / "empty.mp3", f"{USER}/empty.mp3")
        await made.make("mute.mp4", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1", folder=tmp_path)
        await made.make("silent.wav", "-f", "lavfi", "-i", "anullsrc=r=8000:d=2", folder=tmp_path)
        for address, message in {
            "empty.mp3": "The recording can't be used: it is empty, not a media file.",
            "mute.mp4": "The recording has no sound: it is a video without a sound track.",
            "silent.wav": "The recording is silent from its beginning to its end.",
            f"{uuid.uuid4()}/talk.ogg": "The recording does not lie in this user's folder of the storage; it is "
            f"{USER}/….",
            None: "The job names no recording: raw_audio_url is empty.",
            "http://127.0.0.1/a.mp3": "The recording could not be fetched: http://127.0.0.1/a.mp3 is not an https "
            "address.",
        }.items():
            row = await made.ended(await made.add(address))
            details = row["error_details"]
            time = details.pop("time")
            kind = details.pop("error")
            assert (row["status"], details) == (
                "FAILED",
                {"stage": "TRANSCRIBING", "message": message, "attempt": 1},
            )
            assert kind in {"RecordingError", "FetchError", "Fail"}
            assert time.startswith("20")
        assert made.provider.asked == []


async def test_what_was_heard_is_not_lost_when_refining_fails(scenery: Scenery, tones: Path) -> None:
    async with scenery() as made:
        await made.upload(tones)
        made.provider.plan(
            CHAT, Refuse(503, {"Retry-After": "0"}), Refuse(401, message="bad key sk-of-the-model")
        )
        row = await made.ended(await made.add("talk.ogg"))
        assert row["raw_transcript"] == "Good morning.\nWe talk about the garden."
        assert {name: row["error_details"][name] for name in ("stage", "error", "attempt")} == {
            "stage": "REFINING",
            "error": "Refusal",
            "attempt": 2,
        }
        assert "sk-of" not in row["error_details"]["message"]
        assert len(made.provider.of(SPEECH)) == 1
        # Begun anew by its owner: from the start.
        async with made.harness.acting_as(USER) as browser:
            await browser.execute("update studio_jobs set status = 'NEW' where job_id = $1", row["job_id"])
        assert (await made.ended(str(row["job_id"])))["status"] == "COMPLETE"
        assert len(made.provider.of(SPEECH)) == 2


async def test_a_recording_may_come_after_its_row(scenery: Scenery, tones: Path) -> None:
    async with scenery() as made:
        job = await made.add("talk.ogg")
        db = made.harness.connection
        await until(lambda: db.fetchval("select snoozes > 0 from listener.delivery"))
        await made.upload(tones)
        assert (await made.ended(job))["status"] == "COMPLETE"


async def test_a_row_that_another_worker_left_goes_on_from_its_transcript(scenery: Scenery) -> None:
    async with scenery() as made:
        job = await made.add("gone.ogg", status="REFINING", raw_transcript="so this is left.")
        await made.harness.connection.execute("select listener.adopt('studio', '0')")
        assert (await made.ended(job))["refined_text"] == "Refined: So this is left."
        assert made.provider.of(SPEECH) == []


async def test_jobs_begin_over_http(scenery: Scenery, tones: Path) -> None:
    async with (
        scenery() as made,
        httpx.AsyncClient(base_url=made.harness.address, trust_env=False) as browser,
    ):

        async def post(token: str | None = None, **given: str) -> tuple[int, Any]:
            body = {"user_id": USER, "job_id": "test-1", "supabase_file_id": "talk.ogg", **given}
            headers = {"Authorization": f"Bearer {token or made.project.secret_key}"}
            answer = await browser.post("/v1/jobs/new", json=body, headers=headers)
            return answer.status_code, answer.json()

        assert await post() == (422, {"error": f"There is no user {USER}."})
        async with made.harness.acting_as(USER):
            pass
        mine, another = made.project.user_token(USER), made.project.user_token(uuid.uuid4())
        await made.upload(tones)
        status, job = await post(mine)
        assert (status, job["status"], job["user_id"]) == (201, "NEW", USER)
        assert (await made.ended(job["job_id"]))["status"] == "COMPLETE"
        # The same call is the same job, however it has gone on since.
        status, again = await post()
        assert (status, again["job_id"], again["status"]) == (200, job["job_id"], "COMPLETE")
        key = str(uuid.uuid4())
        assert (await post(job_id=key))[1]["job_id"] == key

        assert (await post(another))[0] == 403
        assert (await post(supabase_file_id="other.ogg"))[0] == 409
        theirs = await post(supabase_file_id=f"{uuid.uuid4()}/talk.ogg")
        assert theirs[0] == 422
        assert "does not lie in this user's folder" in theirs[1]["error"]
        assert "'..' segment" in (await post(supabase_file_id=f"{USER}/../talk.ogg"))[1]["error"]
        assert (await post(user_id="nobody"))[1]["error"].startswith("user_id: ")
