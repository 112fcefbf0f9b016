"""A project's address and its secret key are all that the service needs: from a user's insert to the film."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent
from realtime.types import BroadcastPayload

from listener.kit import ffmpeg
from listener.kit import media as probe
from tests.support.harness import until
from tests.support.standin.stack import Stack
from tests.support.timelines import media, timeline, track

from .process import Process

SIZE = {"width": 640, "height": 360, "fps": 30}


class Page:
    """Collect the messages that a browser receives about a user's jobs."""

    def __init__(self, project: Stack, user: str) -> None:
        self._client = AsyncRealtimeClient(f"{project.url}/realtime/v1", project.publishable_key)
        self._token = project.user_token(user)
        self._user = user
        self.rows: list[dict[str, Any]] = []
        self.news: list[BroadcastPayload] = []

    async def __aenter__(self) -> Page:
        await self._client.connect()
        await self._client.set_auth(self._token)
        joined = asyncio.Event()
        update = RealtimePostgresChangesListenEvent.Update
        changes = self._client.channel("exports")
        changes.on_postgres_changes(
            update,
            lambda change: self.rows.append(change["data"]["record"] or {}),
            table="export_jobs",
            schema="public",
        )
        changes.on_system(lambda _: joined.set())
        await changes.subscribe()
        config: Any = {
            "config": {"private": True, "broadcast": {}, "presence": {"key": "", "enabled": False}}
        }
        own = self._client.channel(f"listener:user:{self._user}", config)
        own.on_broadcast("progress", self.news.append)
        own.on_broadcast("finished", self.news.append)
        await own.subscribe()
        await asyncio.wait_for(joined.wait(), 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def test_a_row_that_a_user_inserts_becomes_a_film_in_their_folder(
    project: Stack, user: str, browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    job = str(uuid.uuid4())
    # Noise does not become smaller: the film is too large for one request.
    noise = [
        "-f",
        "lavfi",
        "-i",
        "color=gray:s=640x360:r=30:d=3,noise=alls=100:allf=t",
        "-preset",
        "ultrafast",
    ]
    await ffmpeg.run([*noise, tmp_path / "noise.mp4"])
    document = timeline(track("media", media("noise", 0, 3), isMain=True), items={"noise": "video"})
    document["mediaItems"]["noise"]["url"] = f"{user}/noise.mp4"

    async with Process(project, PROGRESS_BROADCAST="50") as service, Page(project, user) as page:
        content = (tmp_path / "noise.mp4").read_bytes()
        where = "/storage/v1/object/export_data"
        put = await browser.post(
            f"{where}/{user}/noise.mp4", content=content, headers={"content-type": "video/mp4"}
        )
        assert put.is_success, put.text
        row = {"id": job, "user_id": user, "project_id": str(uuid.uuid4()), "status": "queued", "duration": 3}
        forged = await browser.post(
            "/rest/v1/export_jobs", json={**row, **SIZE, "user_id": str(uuid.uuid4())}
        )
        assert forged.status_code == 403
        assert (await browser.post("/rest/v1/export_jobs", json={**row, **SIZE})).status_code == 201
        # The application uploads the timeline after it inserted the row.
        put = await browser.post(f"{where}/{user}/{job}/timeline.json", json=document)
        assert put.is_success, put.text

        async def finished() -> dict[str, Any] | None:
            (row,) = (await browser.get("/rest/v1/export_jobs", params={"id": f"eq.{job}"})).json()
            return row if row["status"] in {"completed", "failed"} else None

        done = await until(finished, 60)
        assert (done["status"], done["error_message"]) == ("completed", None)
        await until(lambda: page.rows and page.rows[-1]["status"] == "completed")
        await until(lambda: page.news and page.news[-1]["event"] == "finished")

    assert page.rows[0]["status"] == "processing"
    percents = [row["progress"] for row in page.rows]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert {one["payload"]["key"] for one in page.news} == {job}
    assert "progress" in [one["event"] for one in page.news]

    # Resumable uploads, because it is larger than 6 MiB; anybody who has the address in the row can read it.
    assert "POST /storage/v1/upload/resumable" in project.requests
    assert done["download_url"].startswith(f"{project.url}/storage/v1/object/sign/exports/{user}/{job}/")
    film = tmp_path / "film.mp4"
    async with httpx.AsyncClient(trust_env=False) as anybody:
        film.write_bytes((await anybody.get(done["download_url"])).content)
    assert film.stat().st_size > 6 * 1024**2
    found = await probe.probe(film)
    assert found.video
    assert (found.video.width, found.video.height) == (640, 360)

    said = service.log
    assert (
        f'"the REST API of {project.url}", "why": "DATABASE_URL is not set, so Realtime announces jobs"'
        in said
    )
    assert project.secret_key not in said


@pytest.mark.parametrize("key", ["publishable", "anon"])
async def test_a_public_key_is_refused_in_a_sentence(project: Stack, key: str) -> None:
    public = project.publishable_key if key == "publishable" else project.legacy_key("anon")
    async with Process(project, SUPABASE_SERVICE_KEY=public) as service:
        assert await service.ends() == 1
    assert service.log == (
        "error: SUPABASE_SERVICE_KEY is the public key; set it to the service_role or secret key.\n"
    )
