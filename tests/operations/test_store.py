"""The store of operations, over each way that they may be kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.operations import (
    AsyncOperationStore,
    Operation,
    OperationError,
    OperationNotFound,
    OperationOver,
    OperationStore,
)
from handlers.operations.memory import MemoryOperations
from handlers.operations.notifier import PostgresNotifier, RealtimeNotifier
from listener.database import migrate
from listener.kit.tables.postgres import PostgresTables
from listener.kit.tables.rest import RestTables
from tests.support.harness import until
from tests.support.standin.stack import running


@pytest.fixture
async def installed(has_realtime: None, db: asyncpg.Connection, database: str) -> str:
    for preset in ("supabase_shim", "operations", "operations"):
        await db.execute(migrate.preset(preset))
    return database


@pytest.fixture(params=["postgres", "rest", "memory"])
async def store(request: pytest.FixtureRequest, installed: str) -> AsyncIterator[AsyncOperationStore]:
    match request.param:
        case "postgres":
            made = AsyncOperationStore(PostgresTables(installed), PostgresNotifier(installed))
            yield made
            await made.close()
        case "rest":
            async with running(installed) as project:
                key = project.secret_key
                made = AsyncOperationStore(RestTables(project.url, key), RealtimeNotifier(project.url, key))
                yield made
                await made.close()
        case _:
            memory = MemoryOperations()
            yield AsyncOperationStore(memory, memory)


async def test_an_operation_lives_from_pending_to_complete(store: AsyncOperationStore) -> None:
    made = await store.create("op 1", message="waiting", metadata={"user_id": "u"})
    assert (made.status, made.progress, made.message, made.metadata) == (
        "pending",
        0,
        "waiting",
        {"user_id": "u"},
    )
    moved = await store.update("op 1", progress=41.7, message="half way")
    assert (moved.status, moved.progress, moved.message) == ("processing", 41, "half way")
    done = await store.complete("op 1", {"url": "https://example.com/a.mp4"})
    assert (done.status, done.progress, done.result) == (
        "complete",
        100,
        {"url": "https://example.com/a.mp4"},
    )
    assert done.created_at <= moved.updated_at <= done.updated_at
    assert await store.get("op 1") == done
    assert await store.list() == await store.list(status="complete") == [done]
    assert await store.list(status="error") == []


async def test_an_operation_ends_once(store: AsyncOperationStore) -> None:
    await store.create("op")
    failed = await store.fail("op", "the provider refused")
    for late in (store.update("op", progress=50), store.complete("op", 1), store.fail("op", "again")):
        with pytest.raises(OperationOver, match="has ended with the status error"):
            await late
    assert await store.get("op") == failed


async def test_what_makes_no_sense_is_refused(store: AsyncOperationStore) -> None:
    made = await store.create("op")
    with pytest.raises(OperationError, match="already"):
        await store.create("op")
    with pytest.raises(OperationError, match="progress is 150; it must be from 0 to 100"):
        await store.update("op", progress=150)
    for name in ("", "x" * 201, "a\nb"):
        with pytest.raises(OperationError, match="1 to 200"):
            await store.create(name)
    with pytest.raises(OperationNotFound, match="no operation 'another'"):
        await store.update("another", progress=1)
    assert await store.get("op") == made
    assert await store.get("another") is None


async def test_whatever_an_operation_is_told_can_be_kept_or_is_refused_in_a_sentence(
    store: AsyncOperationStore,
) -> None:
    await store.create(
        "op", message="a\0b", metadata={"said": "\ud800", "at": Path("x\0"), "ratio": float("nan")}
    )
    made = await store.update("op", message="c\0")
    assert (made.message, made.metadata) == ("c\ufffd", {"said": "?", "at": "x\ufffd", "ratio": None})
    with pytest.raises(OperationError, match="The value can't be stored as JSON: "):
        await store.complete("op", {"value": object()})
    failed = await store.fail("op", ValueError("no\0pe\nand more"))
    assert (failed.status, failed.error) == ("error", "ValueError: no\ufffdpe")
    assert await store.get("no\0pe") is None
    with pytest.raises(OperationNotFound):
        await store.fail("no\0pe", "late")


async def test_followers_hear_each_change_and_the_end(store: AsyncOperationStore) -> None:
    operation = await store.create()
    heard: list[tuple[str, int]] = []
    moved = asyncio.Event()

    async def follow() -> None:
        async for one in store.subscribe(operation.id):
            heard.append((one.status, one.progress))
            moved.set()

    following = asyncio.create_task(follow())
    await asyncio.wait_for(moved.wait(), 5)
    moved.clear()
    await store.update(operation.id, progress=50)
    await asyncio.wait_for(moved.wait(), 10)
    await store.complete(operation.id)
    await asyncio.wait_for(following, 10)
    assert heard == [("pending", 0), ("processing", 50), ("complete", 100)]
    with pytest.raises(OperationNotFound):
        async for _ in store.subscribe("never made"):
            pass


async def test_a_follower_outlives_its_connection(
    installed: str, connect: object, db: asyncpg.Connection
) -> None:
    store = AsyncOperationStore(PostgresTables(installed), PostgresNotifier(installed))
    operation = await store.create()
    changes = store.subscribe(operation.id)
    assert (await anext(changes)).status == "pending"
    listening = (
        "select pid from pg_stat_activity where query ilike 'listen %' and datname = current_database()"
    )
    pid = await until(lambda: db.fetchval(listening))
    await db.execute("select pg_terminate_backend($1)", pid)
    await store.update(operation.id, progress=7)
    assert (await asyncio.wait_for(anext(changes), 10)).progress == 7
    await changes.aclose()
    await store.close()


def test_without_a_database_it_warns_once_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with structlog.testing.capture_logs() as logs, OperationStore() as store:
        operation = store.create(message="alone")
        store.update(operation.id, progress=10)
        assert [one.progress for one in store.list()] == [10]
        changes = store.subscribe(operation.id)
        assert next(changes).progress == 10
        store.complete(operation.id)
        assert [one.status for one in changes] == ["complete"]
    (warning,) = logs
    assert warning["event"].startswith("operations are kept in memory")
    assert "No database is configured" in warning["reason"]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["update", "complete", "fail"]), max_size=6))
def test_nothing_follows_an_end(steps: list[str]) -> None:
    async def live() -> None:
        memory = MemoryOperations()
        store = AsyncOperationStore(memory, memory)
        await store.create("op")
        over = False
        for step in steps:
            acts: dict[str, Callable[[], Awaitable[Operation]]] = {
                "update": lambda: store.update("op", progress=1),
                "complete": lambda: store.complete("op"),
                "fail": lambda: store.fail("op", "no"),
            }
            act = acts[step]
            if over:
                with pytest.raises(OperationOver):
                    await act()
            else:
                over = (await act()).is_over

    asyncio.run(live())
