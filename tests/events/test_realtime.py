"""The source recovers from every failure of Realtime, and finds the rows that were inserted meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from listener.events import realtime as source
from tests.support.harness import Table, until
from tests.support.proxy import between
from tests.support.standin.realtime import Realtime
from tests.support.standin.stack import Stack

from .conftest import Listen


@pytest.fixture
def realtime(project: Stack) -> Realtime:
    return project.realtime


async def test_a_transaction_is_heard_of_once(jobs: Table, listen: Listen) -> None:
    async with listen() as listening:
        await listening.hears()
        assert listening.metric("source_connected") == 1
        async with jobs.db.transaction():
            await jobs.add("a", "b")
            await jobs.add("c")
        await listening.finds("a", "b", "c")
        assert listening.worker.woken == ["jobs"]
    assert listening.metric("source_connected") == 0


async def test_a_job_that_is_cancelled_while_it_runs_is_heard_of(jobs: Table, listen: Listen) -> None:
    async with listen() as listening:
        await listening.hears()
        await jobs.add("a")
        await listening.finds("a")
        await jobs.set("a", "cancelled")
        await until(lambda: listening.worker.stopped)
        assert listening.worker.stopped == ["jobs"]


async def test_queues_with_any_names_are_heard_of_on_one_channel(
    jobs: Table, realtime: Realtime, listen: Listen
) -> None:
    """The server refuses more than 100 channels on a connection."""
    queues = ["a queue/with “odd” words", "x" * 60 + "/" + "y" * 300, *(f"jobs/{n}" for n in range(150))]
    async with listen(queues=queues) as listening:
        await listening.hears()
        assert len(realtime.sockets) == 1
        await jobs.db.execute("delete from listener.queue where not name = 'jobs'")
        await jobs.db.execute(
            "insert into listener.queue (name, attachment, max_attempts, backoff) select name, a.id, 1, '1 s'"
            " from unnest($1::text[]) as queue(name), (select id from listener.attachment) as a",
            [*queues, "not served here"],
        )
        await jobs.db.execute("select listener.broadcast('wake', array(select id from listener.queue))")
        await until(lambda: len(listening.worker.woken) >= len(queues))
        assert sorted(listening.worker.woken) == sorted(queues)
        assert listening.reconnects("refused") == 0


TROUBLES: dict[str, Callable[[Stack, Realtime], Awaitable[None] | None]] = {
    "a connection that breaks": lambda project, _: project.cut(),
    "a server that says goodbye": lambda _, realtime: realtime.close(1000),
    "a server that goes away": lambda _, realtime: realtime.close(1001),
    "a channel that is ended": lambda _, realtime: realtime.shut_down("Too many messages per second"),
    "a token that expires": lambda _, realtime: realtime.expire(),
    "a message that is too long": lambda _, realtime: realtime.flood(1_100_000),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_a_connection_that_ends_is_made_anew(
    jobs: Table, project: Stack, realtime: Realtime, listen: Listen, trouble: Callable[..., Awaitable[None]]
) -> None:
    async with listen() as listening:
        await listening.hears()
        if (doing := trouble(project, realtime)) is not None:
            await doing
        await until(lambda: not listening.source.is_connected)
        await jobs.add("meanwhile")
        await listening.finds("meanwhile")
        await listening.hears(2)
        await jobs.add("later")
        await listening.finds("later")
        assert listening.reconnects("closed") == 1
        assert len(realtime.sockets) == 1


async def test_a_server_that_is_away_for_long_is_awaited(jobs: Table, project: Stack, listen: Listen) -> None:
    async with listen() as listening:
        await listening.hears()
        await project.stop()
        # The client by itself gives up for good after five attempts.
        await until(lambda: listening.reconnects("refused") >= 6)
        await jobs.add("meanwhile")
        await project.start()
        await listening.finds("meanwhile")
        await listening.hears(2)
        await jobs.add("later")
        await listening.finds("later")


async def test_a_connection_that_falls_silent_is_noticed(jobs: Table, project: Stack, listen: Listen) -> None:
    async with between(f"{project.url}/") as (proxy, url), listen(url=url.rstrip("/")) as listening:
        await listening.hears()
        proxy.drops = True
        await jobs.add("meanwhile")
        await until(lambda: listening.reconnects("silent") >= 1)
        assert not listening.source.is_connected
        assert listening.worker.found == set()
        proxy.drops = False
        await listening.finds("meanwhile")
        await listening.hears(2)
        await jobs.add("later")
        await listening.finds("later")


async def test_a_join_without_an_answer_is_tried_again(
    jobs: Table, realtime: Realtime, listen: Listen
) -> None:
    realtime.ignores = True
    async with listen() as listening:
        await until(lambda: listening.reconnects("silent") >= 1)
        assert listening.worker.times_connected == 0
        realtime.ignores = False
        await listening.hears()
        await jobs.add("a")
        await listening.finds("a")


async def test_a_join_that_is_refused_is_told_and_tried_again(
    jobs: Table, realtime: Realtime, listen: Listen
) -> None:
    realtime.refuses = "ClientJoinRateLimitReached: Too many joins per second"
    with capture_logs() as logs:
        async with listen() as listening:
            await until(lambda: listening.reconnects("refused") >= 2)
            realtime.refuses = None
            await listening.hears()
            await jobs.add("a")
            await listening.finds("a")
    assert logs[0]["event"] == "Realtime channel refused; retried later"
    assert "Too many joins per second" in logs[0]["error"]
    assert "SUPABASE_SERVICE_KEY" not in logs[0]["error"]


@pytest.mark.parametrize(
    ("key", "why"),
    [("publishable", "You do not have permissions to read from this Channel topic"), ("unknown", "HTTP 401")],
)
async def test_a_key_that_is_not_the_secret_one_is_named(
    jobs: Table, project: Stack, listen: Listen, key: str, why: str
) -> None:
    with capture_logs() as logs:
        async with listen(
            key=project.publishable_key if key == "publishable" else "sb_secret_x"
        ) as listening:
            await until(lambda: listening.reconnects("refused") >= 1)
            assert not listening.source.is_connected
    assert why in logs[0]["error"]
    assert "set SUPABASE_SERVICE_KEY to the project's secret or service_role key" in logs[0]["error"]


async def test_a_key_that_was_changed_is_followed(
    jobs: Table, project: Stack, realtime: Realtime, listen: Listen, workdir: Path
) -> None:
    async with listen() as listening:
        await listening.hears()
        project.secret_key = "sb_secret_of-today"
        await realtime.close(1000)
        await until(lambda: listening.reconnects("refused") >= 1)
        project.rotate(workdir)
        await listening.hears(2)
        await jobs.add("a")
        await listening.finds("a")


async def test_rows_between_the_join_and_the_hearing_are_found_when_the_server_says_so(
    jobs: Table, realtime: Realtime, listen: Listen
) -> None:
    realtime.lag = 0.5
    async with listen() as listening:
        await until(lambda: listening.worker.times_connected == 1 and listening.worker.rests)
        await jobs.add("a")
        await listening.finds("a")
        assert listening.worker.woken == []
        assert listening.worker.times_connected == 2


async def test_rows_between_the_join_and_the_hearing_are_found_when_the_server_does_not_say_so(
    jobs: Table, realtime: Realtime, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SECOND_LOOK_AFTER", 0.3)
    realtime.lag = 3600.0
    async with listen() as listening:
        await until(lambda: listening.worker.times_connected == 1 and listening.worker.rests)
        await jobs.add("a")
        await listening.finds("a")


async def test_rows_in_a_gap_that_the_server_tells_of_are_found(
    jobs: Table, realtime: Realtime, listen: Listen
) -> None:
    async with listen() as listening:
        await listening.hears()
        await realtime.lose_replication()
        await jobs.add("a")
        await realtime.regain_replication()
        await listening.finds("a")
        assert listening.worker.woken == []
        await jobs.add("b")
        await listening.finds("b")
        assert listening.reconnects("closed") == 0


async def test_events_that_are_doubled_or_out_of_order_are_passed_on(
    jobs: Table, realtime: Realtime, listen: Listen
) -> None:
    realtime.doubles = realtime.reverses = True
    async with listen() as listening:
        await listening.hears()
        await jobs.add("a")
        await until(lambda: listening.worker.woken == ["jobs", "jobs"])


async def test_an_event_that_trips_the_service_is_not_the_last_one(jobs: Table, listen: Listen) -> None:
    async with listen() as listening:
        await listening.hears()
        listening.worker.trips = 1
        await jobs.add("a")
        await listening.finds("a")
        await jobs.add("b")
        await listening.finds("b")
        assert listening.reconnects("closed") == listening.reconnects("silent") == 0


async def test_a_connection_is_made_anew_before_its_token_expires(jobs: Table, listen: Listen) -> None:
    async with listen(max_age=0.3) as listening:
        await until(lambda: listening.reconnects("recycled") >= 2)
        await until(lambda: listening.source.is_connected)
    assert sum(listening.reconnects(reason) for reason in ("refused", "closed", "silent")) == 0


async def test_a_table_that_only_notifies_is_heard_of_by_its_changes(
    jobs: Table, realtime: Realtime, listen: Listen, db: asyncpg.Connection
) -> None:
    await jobs.attach(wake="notify")
    await db.execute(
        "alter publication supabase_realtime add table jobs; grant usage on schema public to service_role;"
        "grant select on jobs to service_role"
    )
    (served,) = json.loads(await db.fetchval("select listener.register('me', 'here', '1', '{\"jobs\": 1}')"))
    async with listen() as listening:
        await listening.hears()
        listening.source.watch({served["queue"]: served["changes"]})
        await until(lambda: listening.reconnects("recycled") == 1)
        # The server says that it hears the database, and that it is subscribed to the table.
        await until(lambda: listening.worker.times_connected == 5 and listening.worker.rests)
        await jobs.add("a")
        await listening.finds("a")
        assert listening.worker.woken == ["jobs"]
        listening.source.watch({served["queue"]: served["changes"]})
        assert len(realtime.sockets) == 1


async def test_nothing_is_left_behind(jobs: Table, realtime: Realtime, listen: Listen) -> None:
    before = asyncio.all_tasks()
    async with listen() as listening:
        await listening.hears()
    await until(lambda: not realtime.sockets)
    await until(lambda: asyncio.all_tasks() <= before)


async def test_neither_the_key_nor_what_messages_say_is_in_a_log(
    jobs: Table, project: Stack, realtime: Realtime, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        async with listen() as listening:
            await listening.hears()
            for channel in realtime.channels:
                await channel.say("nonsense", {"row": "private words"})
            await realtime.flood(1_100_000)
            await listening.hears(2)
            key, project.secret_key = project.secret_key, "sb_secret_another"
            project.cut()
            await until(lambda: listening.reconnects("refused") >= 1)
    assert len(logs) >= 3
    said_by_clients = [record.getMessage() for record in caplog.records if record.name != "uvicorn.error"]
    assert key not in f"{logs}{said_by_clients}"
    assert "private words" not in f"{logs}{said_by_clients}"
