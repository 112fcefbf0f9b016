"""The database is slow, unreachable or restarted, or its answers are lost: jobs continue, and run once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator

import anyio
import asyncpg
import pytest

from listener import DatabaseUnavailable, Job
from listener.database import migrate
from listener.database.transport_postgres import PostgresTransport
from listener.embedded import Postgres, bindirs
from listener.engine import engine
from tests.support.harness import Switch, Table, app_of, serving, until
from tests.support.proxy import between


async def test_a_claim_whose_answer_was_lost_is_given_back_uncounted(jobs: Table, database: str) -> None:
    attempts: list[int] = []

    async def handle(job: Job) -> None:
        attempts.append(job.attempt)

    async with (
        between(database) as (proxy, url),
        serving(app_of(handle), url, lease=30, heartbeat=0.2) as service,
    ):
        await jobs.add("before")
        await jobs.becomes("before", "completed")
        proxy.cut_answer_to(service.engine.worker_id.encode(), b"jobs")
        await jobs.add("a")
        await proxy.spoiled.wait()
        delivery = await jobs.delivery("a")
        assert delivery is not None
        assert (delivery["state"], delivery["worker"], len(attempts)) == (
            "running",
            service.engine.worker_id,
            1,
        )
        await jobs.becomes("a", "completed")
    assert attempts == [1, 1]
    assert await jobs.history("a") == ["completed"]


async def test_an_end_whose_answer_was_lost_is_said_again_and_counts_once(jobs: Table, database: str) -> None:
    switch = Switch()
    async with between(database) as (proxy, url), serving(switch.app(), url) as service:
        await jobs.add("a")
        await switch.has_started()
        proxy.cut_answer_to(b'"columns"')
        switch.go.set()
        await proxy.spoiled.wait()
        assert (await jobs.row("a"))["status"] == "completed"
        await until(lambda: service.engine.status.active_jobs() == 0)
    assert switch.started == ["a"]
    assert await jobs.history("a") == ["completed"]


async def test_a_call_that_gets_no_answer_is_given_up_and_its_connection_is_not_used_again(
    database: str,
) -> None:
    async with between(database) as (proxy, url):
        transport = PostgresTransport(url, timeout=0.4)
        assert await transport.call("stats") is not None
        proxy.drops = True
        with pytest.raises(DatabaseUnavailable, match="the database did not answer"):
            await transport.call("stats")
        proxy.drops = False
        assert await transport.call("stats") is not None
        proxy.reset()
        with pytest.raises(DatabaseUnavailable, match="could not answer now"):
            await transport.call("stats")
        proxy.refuses = True
        with pytest.raises(DatabaseUnavailable, match="the database can't be reached"):
            await transport.call("stats")
        proxy.refuses = False
        assert await transport.call("stats") is not None
        await transport.close()


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("unheard", [b"listener.stats", b"int[]"], ids=["call", "connection that is opened"])
async def test_a_connection_that_dies_in_silence_holds_up_nobody(
    database: str, unheard: bytes, pooled: bool
) -> None:
    async with between(database) as (proxy, url):
        proxy.swallow(unheard)
        transport = PostgresTransport(url, timeout=0.4, pooled=pooled)
        with anyio.fail_after(5), pytest.raises(DatabaseUnavailable):
            await transport.call("stats")
        assert await transport.call("stats") is not None
        await transport.close()


async def test_the_idle_connections_that_died_with_one_are_not_tried(
    db: asyncpg.Connection, database: str
) -> None:
    """Or a lease would end while heartbeat after heartbeat waits for an answer."""
    transport = PostgresTransport(database, timeout=0.4)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(transport.fetchval, "select pg_sleep(0.1)")
    servers = await db.fetch(
        "select pid from pg_stat_activity where datname = current_database() and application_name = 'listener'"
    )
    assert len(servers) == 3
    for server in servers:
        os.kill(server["pid"], signal.SIGSTOP)
    try:
        with pytest.raises(DatabaseUnavailable, match="the database did not answer"):
            await transport.call("stats")
        assert await transport.call("stats") is not None
    finally:
        for server in servers:
            os.kill(server["pid"], signal.SIGCONT)
    await transport.close()


async def test_a_call_that_closing_cut_off_says_so_though_others_have_begun_anew(
    db: asyncpg.Connection, database: str
) -> None:
    transport = PostgresTransport(database)

    async def cut_off() -> None:
        with pytest.raises(DatabaseUnavailable, match="could not answer now"):
            await transport.fetchval("select pg_sleep(20)")

    async with anyio.create_task_group() as group:
        group.start_soon(cut_off)
        sleeps = "select count(*) = 1 from pg_stat_activity where wait_event = 'PgSleep'"
        await until(lambda: db.fetchval(sleeps))
        await transport.close()
        assert await transport.call("stats") is not None
    await transport.close()


async def test_a_slow_database_costs_no_lease(jobs: Table, database: str) -> None:
    switch = Switch()
    async with between(database) as (proxy, url), serving(switch.app(concurrency=3), url) as service:
        proxy.delay = 0.15
        await jobs.add("a", "b", "c")
        await switch.has_started(3)
        await jobs.leases_last(2)
        switch.go.set()
        await jobs.all_become("completed")
        assert service.metric("lease_expirations_total", queue="jobs") == 0
    assert len(switch.started) == 3


async def test_a_table_that_is_locked_for_long_costs_no_lease(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(concurrency=20), database) as service:
        await jobs.add("a", "b")
        await switch.has_started(2)
        async with jobs.db.transaction():
            await jobs.db.execute("lock table jobs in access exclusive mode")
            switch.go.set()
            await jobs.leases_last(3)
        await jobs.all_become("completed")
        assert service.metric("lease_expirations_total", queue="jobs") == 0
    assert len(switch.started) == 2


async def test_a_service_that_starts_first_waits_for_its_database(jobs: Table, database: str) -> None:
    switch = Switch()
    switch.go.set()
    async with between(database) as (proxy, url):
        proxy.refuses = True
        await jobs.add("a")
        async with anyio.create_task_group() as group:
            ready = anyio.Event()

            async def serve() -> None:
                async with serving(switch.app(), url):
                    ready.set()
                    await jobs.becomes("a", "completed")

            group.start_soon(serve)
            await until(lambda: proxy.opened >= 3)
            assert not ready.is_set()
            proxy.refuses = False


async def test_while_the_database_is_away_the_service_is_alive_but_not_ready(
    jobs: Table, database: str
) -> None:
    """Also when all slots are taken, so that there is nothing to claim when it comes back."""
    switch = Switch()
    async with (
        between(database) as (proxy, url),
        serving(switch.app(), url, http=True, poll_interval=0.2) as service,
    ):
        await jobs.add("a")
        await switch.has_started()

        async def ready(yes: bool) -> bool:
            return (await service.get("/readyz")).is_success is yes

        proxy.refuses = True
        proxy.reset()
        await until(lambda: ready(False))
        assert (await service.get("/livez")).is_success
        assert (await service.get("/metrics")).is_success
        proxy.refuses = False
        await until(lambda: ready(True))
        switch.go.set()
        await jobs.becomes("a", "completed")
    assert switch.started == ["a"]


async def test_after_an_outage_longer_than_the_lease_running_jobs_still_count(
    jobs: Table, database: str
) -> None:
    switch = Switch()
    async with (
        between(database) as (proxy, url),
        serving(switch.app(), url, lease=0.7, heartbeat=0.3, poll_interval=0.2),
    ):
        await jobs.add("a")
        await switch.has_started()
        proxy.refuses = True
        proxy.reset()
        ended = "select bool_and(lease_until < clock_timestamp()) from listener.delivery"
        await until(lambda: jobs.db.fetchval(ended))
        proxy.refuses = False
        await jobs.leases_last(0.3)
        switch.go.set()
        await jobs.becomes("a", "completed")
    assert (switch.started, switch.stopped) == (["a"], [])
    assert await jobs.history("a") == ["completed"]


async def test_a_shutdown_does_not_wait_for_a_database_that_is_away(
    jobs: Table, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SETTLE_SECONDS", 0.3)
    switch = Switch()
    async with between(database) as (proxy, url):
        with anyio.fail_after(5):
            async with serving(switch.app(), url) as service:
                await jobs.add("a")
                await switch.has_started()
                proxy.refuses = True
                proxy.reset()
                service.engine.shut_down()
    assert switch.stopped == ["a"]


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that this test may crash."""
    with Postgres(bindir=bindirs()[0], settings={"max_notify_queue_pages": "64"}) as server:
        yield server


async def own_jobs(server: Postgres) -> Table:
    connection = await asyncpg.connect(server.url)
    await migrate.migrate(connection)
    return await Table(connection).create()


async def test_the_server_crashes_under_load_and_nothing_is_lost_or_doubled(own_postgres: Postgres) -> None:
    jobs = await own_jobs(own_postgres)
    begun: Counter[str] = Counter()
    switch = Switch()

    async def handle(job: Job) -> dict[str, str]:
        begun[job.key] += 1
        if job.key.startswith("long"):
            await switch(job)
        return {"url": f"{job.key} {job.attempt}"}

    async with serving(app_of(handle, concurrency=8), own_postgres.url, lease=20, heartbeat=0.5):
        await jobs.add("long 1", "long 2", priority=1)
        await jobs.add(*(f"{n}" for n in range(500)))
        await switch.has_started(2)
        await until(lambda: len(begun) > 100)
        await anyio.to_thread.run_sync(own_postgres.crash)
        await anyio.to_thread.run_sync(own_postgres.start)
        again = Table(await asyncpg.connect(own_postgres.url))
        switch.go.set()
        await again.all_become("completed")
        assert begun["long 1"] == begun["long 2"] == 1, "what ran went on"
        ended = await again.db.fetch(
            "select job_key from listener.attempt where outcome = 'completed' group by 1 having count(*) = 1"
        )
        assert len(ended) == 502
        attempts = await again.db.fetchval("select count(*) from jobs where url <> id || ' 1'")
        assert attempts == 0, "the crash counted nobody an attempt"
        await again.db.close()
    jobs.db.terminate()


async def fill_notifications(jobs: Table) -> None:
    for n in range(200):
        await jobs.db.execute("select pg_notify('anything', $1)", f"{n}" + "x" * 7000)


async def test_a_full_queue_of_notifications_is_healed(
    own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    if own_postgres.version < 17:
        return
    monkeypatch.setattr("listener.events.postgres.PROBE_INTERVAL", 0.3)
    jobs = await own_jobs(own_postgres)
    switch = Switch()
    switch.go.set()
    idler = await asyncpg.connect(own_postgres.url)
    await idler.execute("listen anything")
    async with serving(switch.app(concurrency=4), own_postgres.url):
        await idler.execute("begin; select 1")
        with pytest.raises(asyncpg.PostgresError, match="too many notifications"):
            await fill_notifications(jobs)
        with pytest.raises(asyncpg.PostgresError, match="too many notifications"):
            await jobs.add("refused")
        await idler.execute("rollback")

        async def heals() -> bool:
            try:
                await jobs.add("a")
            except asyncpg.PostgresError:
                return False
            return True

        await until(heals)
        await jobs.becomes("a", "completed")
    await idler.close()
    await jobs.db.close()
