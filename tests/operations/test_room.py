"""Operations as a queue: done by handlers, driven by hand beside them, shown to frontends, cleaned up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio
import asyncpg
import httpx
import pytest
from fastapi import HTTPException

from handlers import operations
from handlers.operations import AsyncOperationStore, handler
from handlers.operations.notifier import PostgresNotifier
from listener import App, Caller, Fail, Job, Snooze
from listener.kit import tables
from listener.kit.tables.postgres import PostgresTables
from listener.testing import Harness, running_app
from tests.support.harness import until

DRAWING = """
select listener.attach(
  'public.operations', queue => 'operations', kind => 'metadata->>type', kinds => '{drawing,video_generation}',
  words => '{"ready": "pending", "running": "processing", "done": "complete", "failed": "error"}')
"""

go = anyio.Event()


def make_app() -> App:
    app = App()

    @app.handler("operations/drawing")
    async def draw(job: Job) -> dict[str, object]:
        async with operations.fresh(job):
            job.progress(30, "drawing")
            if job.snoozes < job.row["metadata"].get("snoozes", 0):
                raise Snooze(0.25)
            if job.row["metadata"].get("bad"):
                raise Fail("The prompt was refused.")
            await go.wait()
            return {"result": {"url": "https://example.com/a.mp4"}}

    app.include(handler.app)
    return app


@dataclass
class Scene:
    harness: Harness
    store: AsyncOperationStore
    browser: httpx.AsyncClient


Scenery = Callable[[], AbstractAsyncContextManager[Scene]]


@pytest.fixture
def scenery(tmp_path: Path, database: str) -> Scenery:
    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        global go  # noqa: PLW0603
        go = anyio.Event()
        async with (
            running_app(
                make_app(), tmp_path, presets=("supabase_shim", "operations"), database_url=database
            ) as made,
            httpx.AsyncClient(base_url=made.address, trust_env=False) as browser,
        ):
            await made.connection.execute(DRAWING)
            store = AsyncOperationStore(
                PostgresTables(made.database_url), PostgresNotifier(made.database_url)
            )
            try:
                yield Scene(made, store, browser)
            finally:
                await store.close()

    return scene


async def test_the_type_picks_the_handler(scenery: Scenery) -> None:
    async with scenery() as made:
        operation = await made.store.create(metadata={"type": "drawing"})
        seen = []
        async for one in made.store.subscribe(operation.id):
            seen.append((one.status, one.message))
            if one.message == "drawing":
                go.set()
        assert ("processing", "drawing") in seen
        ended = await made.store.get(operation.id)
        assert ended is not None
        assert (ended.status, ended.progress, ended.result) == (
            "complete",
            100,
            {"url": "https://example.com/a.mp4"},
        )


async def test_a_clip_is_generated(scenery: Scenery) -> None:
    async with scenery() as made:
        metadata = {"type": "video_generation", "prompt": "a fox", "duration": 1, "aspect_ratio": "1:1"}
        operation = await made.store.create("a/b c", metadata=metadata)
        last = [one async for one in made.store.subscribe(operation.id)][-1]
        assert (last.status, last.error) == ("complete", None)
        clip = await made.browser.get(last.result["url"])
        assert (clip.status_code, clip.headers["content-type"]) == (200, "video/mp4")
        operation = await made.store.create(metadata={"type": "video_generation", "duration": 1})
        last = [one async for one in made.store.subscribe(operation.id)][-1]
        assert last.error == "There is no prompt; describe the clip."


async def test_a_failure_is_a_sentence_in_the_row(scenery: Scenery) -> None:
    async with scenery() as made:
        operation = await made.store.create(metadata={"type": "drawing", "bad": True})
        last = [one async for one in made.store.subscribe(operation.id)][-1]
        assert (last.status, last.error) == ("error", "The prompt was refused.")


async def test_an_operation_without_a_handler_is_driven_by_hand(scenery: Scenery) -> None:
    async with scenery() as made:
        operation = await made.store.create(metadata={"type": "upload"})
        await made.store.update(operation.id, progress=50)
        assert (await made.store.complete(operation.id, {"ok": True})).result == {"ok": True}
        assert await made.harness.connection.fetchval("select count(*) from listener.delivery") == 0


async def test_the_service_keeps_off_an_operation_that_somebody_drives(scenery: Scenery) -> None:
    async with scenery() as made:
        async with made.harness.connection.transaction():
            await made.harness.connection.execute(
                "insert into operations (id, status, metadata) values ('mine', 'processing', $1)",
                json.dumps({"type": "drawing"}),
            )
        go.set()
        assert (await made.store.complete("mine", 1)).result == 1
        assert await made.harness.connection.fetchval("select count(*) from listener.attempt") == 0


async def test_a_frontend_asks_for_its_own_operations(scenery: Scenery) -> None:
    async with scenery() as made:
        await made.store.create("a/b c", metadata={"user_id": "u"})
        answer = await made.browser.get("/api/operations/a%2Fb%20c")
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
        missing = await made.browser.get("/api/operations/none")
        assert (missing.status_code, missing.json()) == (404, {"error": "There is no operation 'none'."})
        assert (await made.browser.get("/api/operations/a%00b")).status_code == 404


async def test_metadata_that_is_no_object_is_shown_and_names_nobody(scenery: Scenery) -> None:
    async with scenery() as made:
        await made.harness.connection.execute("insert into operations (id, metadata) values ('odd', '[1]')")
        answer = await made.browser.get("/api/operations/odd")
        assert (answer.status_code, answer.json()["metadata"]) == (200, [1])
        with pytest.raises(HTTPException) as refused:
            await handler.operation("odd", Caller("user", str(uuid4())))
        assert refused.value.status_code == 404


async def test_a_browser_sees_only_what_names_its_user_and_changes_nothing(scenery: Scenery) -> None:
    async with scenery() as made:
        user = str(uuid4())
        await made.store.create("mine", metadata={"user_id": user})
        await made.store.create("theirs", metadata={"user_id": str(uuid4())})
        await made.store.create("nobody's")
        async with made.harness.acting_as(user) as browser:
            assert [row["id"] for row in await browser.fetch("select id from operations")] == ["mine"]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await browser.execute("update operations set status = 'complete'")


async def test_what_runs_is_not_cleaned_up(scenery: Scenery, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scenery() as made:
        monkeypatch.setattr(handler, "TOUCH_EVERY", 0.05)
        await made.store.create("forgotten")
        operation = await made.store.create(metadata={"type": "drawing"})
        db = made.harness.connection
        await until(
            lambda: db.fetchval("select message = 'drawing' from operations where id = $1", operation.id)
        )
        # An hour goes by for both of them.
        await db.execute(
            "alter table operations disable trigger operations_touch;"
            " update operations set updated_at = updated_at - 4000000;"
            " alter table operations enable trigger operations_touch"
        )
        alive = "select updated_at > (extract(epoch from now()) - 60) * 1000 from operations where id = $1"
        await until(lambda: db.fetchval(alive, operation.id))
        await handler.clean_up()
        assert await made.store.get("forgotten") is None
        assert await made.store.get(operation.id) is not None
        go.set()


async def test_what_waits_for_somebody_else_is_not_cleaned_up(
    scenery: Scenery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scenery() as made:
        monkeypatch.setattr(handler, "TOUCH_EVERY", 0.2)
        operation = await made.store.create(metadata={"type": "drawing", "snoozes": 1000})
        touched = set()

        async def often() -> bool:
            row = await made.store.get(operation.id)
            touched.add(row and row.updated_at)
            return len(touched) >= 4

        await until(often)


async def test_a_database_that_is_away_is_not_a_missing_operation(scenery: Scenery) -> None:
    async with scenery() as made:
        tables.use(PostgresTables("postgresql://nobody@127.0.0.1:1/none"))
        assert (await made.browser.get("/api/operations/any")).status_code == 503
