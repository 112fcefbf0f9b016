"""Events are lost, doubled or forged, and connections die silently: no job is lost or run twice."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from listener.backoff import delays
from listener.events import base
from listener.events import postgres as source
from tests.support.harness import Switch, Table, serving, until
from tests.support.proxy import between


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source probes soon, and gives up soon."""
    monkeypatch.setattr(source, "PROBE_INTERVAL", 0.2)
    monkeypatch.setattr(source, "PROBE_TIMEOUT", 0.4)
    monkeypatch.setattr(source, "CONNECT_TIMEOUT", 0.6)


async def disconnect(jobs: Table, application: str) -> None:
    ended = await jobs.db.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where application_name = $1 and datname = current_database()",
        application,
    )
    assert ended >= 1


async def test_a_connection_that_falls_silent_is_noticed_and_a_sweep_finds_the_jobs(
    jobs: Table, database: str
) -> None:
    switch = Switch()
    switch.go.set()
    async with between(database) as (proxy, url), serving(switch.app(), url) as service:
        await until(lambda: service.metric("events_received_total", source="sweep", queue="jobs") >= 2)
        await jobs.db.execute("select pg_sleep(0.3)")
        proxy.drops = True
        await jobs.add("a")
        await until(lambda: service.metric("reconnects_total", source="notify", reason="silent") >= 1)
        assert service.metric("source_connected", source="notify") == 0
        proxy.drops = False
        await jobs.becomes("a", "completed")
        assert switch.started == ["a"]


async def test_silence_while_it_begins_to_listen_is_noticed_too(jobs: Table, database: str) -> None:
    switch = Switch()
    switch.go.set()
    async with between(database) as (proxy, url), serving(switch.app(), url) as service:
        proxy.swallow(b"LISTEN")
        await disconnect(jobs, "listener events")
        await until(lambda: service.metric("reconnects_total", source="notify", reason="silent") >= 1)
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        await jobs.add("a")
        await jobs.becomes("a", "completed")


async def test_a_database_that_is_away_behind_its_pooler_is_asked_ever_more_rarely(
    jobs: Table, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting succeeds each time, because the pooler accepts it. LISTEN fails."""
    backoffs: list[Iterator[float]] = []

    def counted() -> Iterator[float]:
        backoffs.append(delays(0.01, most=0.02))
        return backoffs[-1]

    monkeypatch.setattr(base, "delays", counted)
    switch = Switch()
    switch.go.set()
    async with between(database) as (proxy, url), serving(switch.app(), url) as service:
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        proxy.cuts = b"LISTEN"
        await disconnect(jobs, "listener events")
        await until(lambda: service.metric("reconnects_total", source="notify", reason="refused") >= 4)
        proxy.cuts = None
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        await jobs.add("a")
        await jobs.becomes("a", "completed")
    assert len(backoffs) == 1


async def test_what_happened_between_two_connections_is_found(jobs: Table, database: str) -> None:
    switch = Switch()
    switch.go.set()
    async with between(database) as (proxy, url), serving(switch.app(), url) as service:
        proxy.refuses = True
        proxy.reset()
        await until(lambda: service.metric("reconnects_total", source="notify", reason="refused") >= 2)
        await jobs.add("a", "b")
        proxy.refuses = False
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        await jobs.all_become("completed")
        assert sorted(switch.started) == ["a", "b"]


@pytest.mark.parametrize("application", ["listener events", "listener"])
async def test_sessions_that_the_server_ends_are_made_anew_at_once(
    jobs: Table, database: str, application: str
) -> None:
    switch = Switch()
    async with serving(switch.app(), database) as service:
        await jobs.add("a")
        await switch.has_started()
        await disconnect(jobs, application)
        await until(lambda: service.metric("source_connected", source="notify") == 1)
        switch.go.set()
        await jobs.add("b")
        await jobs.all_become("completed")
        assert switch.started == ["a", "b"]


async def test_a_job_that_no_event_announced_is_found_by_a_sweep_and_counted(
    jobs: Table, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.engine.dispatcher.MISSED_AFTER", 0.0)
    await jobs.attach(wake="none")
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(), database, poll_interval=0.2) as service:
        await jobs.add("a")
        await jobs.becomes("a", "completed")
        assert service.metric("missed_found_total", queue="jobs", found_by="sweep") == 1


async def test_events_that_are_doubled_forged_or_malformed_do_nothing(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(concurrency=4), database) as service:
        await jobs.add("a")
        await switch.has_started()
        for queue in ("jobs", "nobody's", "", "x" * 7900, "jobs/render", '{"id": 1}', "\u2028"):
            for channel in ("listener_wake", "listener_stop"):
                for _ in range(5):
                    await jobs.db.execute("select pg_notify($1, $2)", channel, queue)
        await jobs.add("last")
        await switch.has_started(2)
        switch.go.set()
        await jobs.all_become("completed")
        assert switch.started == ["a", "last"]
        assert switch.stopped == []
        labels = {
            sample.labels["queue"]
            for metric in service.engine.metrics.registry.collect()
            for sample in metric.samples
            if "queue" in sample.labels
        }
        assert labels == {"jobs"}


async def test_an_insert_that_is_rolled_back_starts_nothing_and_a_late_commit_is_heard(
    jobs: Table, database: str
) -> None:
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(), database):
        transaction = jobs.db.transaction()
        await transaction.start()
        await jobs.add("never")
        await transaction.rollback()
        async with jobs.db.transaction():
            await jobs.add("late")
            await jobs.db.execute("select pg_sleep(0.3)")
            assert switch.started == []
        await jobs.becomes("late", "completed")
        assert switch.started == ["late"]


async def test_rows_loaded_behind_the_triggers_are_found_after_a_reconnect(
    jobs: Table, database: str, postgres_url: str
) -> None:
    switch = Switch()
    switch.go.set()
    async with serving(switch.app(), database):
        root = await asyncpg.connect(postgres_url)
        try:
            await root.execute(
                "set session_replication_role = replica; insert into jobs (id) values ('bulk')"
            )
        finally:
            await root.close()
        await disconnect(jobs, "listener events")
        await jobs.becomes("bulk", "completed")
