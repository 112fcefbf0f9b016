"""A running handler is stopped by a timeout, a cancelled or edited row, a restart or a shutdown."""

from __future__ import annotations

import threading
import time
from functools import partial

import anyio
import pytest

from listener import Job, LeaseLost
from listener.engine import engine
from tests.support.harness import Switch, Table, app_of, serving, until


async def test_a_handler_that_takes_too_long_is_stopped_and_retried(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(timeout=0.1), database) as service:
        await jobs.add("a")
        row = await jobs.becomes("a", "failed")
        assert row["error"] == "the handler took longer than its 0.1 s"
        assert len(switch.stopped) == 3
        assert service.metric("job_retries_total", queue="jobs", reason="timeout") == 2


async def test_a_plain_handler_that_takes_too_long_learns_it_and_keeps_its_slot_until_then(
    jobs: Table, database: str
) -> None:
    await jobs.attach(max_attempts=1)
    asked, released = threading.Event(), threading.Event()
    running: list[str] = []

    def handle(job: Job) -> None:
        running.append(job.key)
        if job.key == "a":
            while True:
                try:
                    job.check()
                except LeaseLost:
                    asked.set()
                    released.wait(10)
                    raise
                time.sleep(0.005)

    async with serving(app_of(handle, timeout=0.1), database) as service:
        await jobs.add("a")
        await until(asked.is_set)
        await jobs.add("b")
        await until(lambda: service.metric("events_received_total", source="notify", queue="jobs") >= 2)
        await anyio.sleep(0.1)
        assert running == ["a"], "its slot is not free before the thread has returned"
        released.set()
        await jobs.becomes("b", "completed")
        assert (await jobs.row("a"))["error"] == "the handler took longer than its 0.1 s"


async def test_a_result_that_comes_too_late_but_comes_counts(jobs: Table, database: str) -> None:
    def handle(job: Job) -> dict[str, str]:
        while True:
            try:
                job.check()
            except LeaseLost:
                return {"url": "after all"}
            time.sleep(0.005)

    async with serving(app_of(handle, timeout=0.05), database):
        await jobs.add("a")
        assert (await jobs.becomes("a", "completed"))["url"] == "after all"


STOPS = {
    "cancelled word": "update jobs set status = 'cancelled' where id = 'a'",
    "final word": "update jobs set status = 'completed' where id = 'a'",
    "unknown word": "update jobs set status = 'parked' where id = 'a'",
    "delete": "delete from jobs where id = 'a'",
    "cancel verb": "select listener.cancel('jobs', array['a'])",
    "detach": "select listener.detach('jobs')",
}


@pytest.mark.parametrize("statement", STOPS.values(), ids=STOPS)
async def test_a_handler_whose_job_is_taken_away_is_stopped(
    jobs: Table, database: str, statement: str
) -> None:
    switch = Switch()
    async with serving(switch.app(), database) as service:
        await jobs.add("a")
        await switch.has_started()
        await jobs.db.execute(statement)
        await until(lambda: switch.stopped == ["a"])
        await until(lambda: service.engine.status.active_jobs() == 0)
        assert await jobs.delivery("a") is None


async def test_a_table_that_vanishes_under_a_job_harms_no_other(jobs: Table, database: str) -> None:
    other = await Table(jobs.db, "others").create()
    switch = Switch()
    app = switch.app()
    app.include(switch.app("others"))
    async with serving(app, database) as service:
        await jobs.add("a")
        await switch.has_started()
        await jobs.db.execute("drop table jobs cascade")
        switch.go.set()
        await until(lambda: service.engine.status.active_jobs() == 0)
        await other.add("b")
        await other.becomes("b", "completed")
        assert service.metric("jobs_finished_total", queue="jobs", outcome="completed") == 0


async def test_a_handler_whose_table_is_dropped_is_stopped(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(), database) as service:
        await jobs.add("a")
        await switch.has_started()
        await jobs.db.execute("alter table jobs rename to tasks")
        extended = "select lease_until > $1 from listener.delivery"
        now = await jobs.db.fetchval("select lease_until from listener.delivery")
        await until(lambda: jobs.db.fetchval(extended, now))
        assert switch.stopped == [], "under its new name it may be attached again"
        await jobs.db.execute("drop table tasks")
        await until(lambda: switch.stopped == ["a"])
        await until(lambda: service.metric("jobs_finished_total", queue="jobs", outcome="lost") == 1)


@pytest.mark.parametrize(
    "statement", [STOPS["cancelled word"], STOPS["delete"], STOPS["cancel verb"], "truncate jobs"]
)
async def test_people_do_not_wait_for_a_heartbeat(jobs: Table, database: str, statement: str) -> None:
    switch = Switch()
    async with serving(switch.app(), database, lease=300, heartbeat=100) as service:
        await jobs.add("a")
        await switch.has_started()
        await jobs.db.execute(statement)
        await until(lambda: switch.stopped == ["a"])
        await until(lambda: service.metric("jobs_finished_total", queue="jobs", outcome="cancelled") == 1)
    assert await jobs.history("a") == ["cancelled"]


async def test_a_row_set_to_ready_again_is_restarted(jobs: Table, database: str) -> None:
    """Whether the new attempt starts beside the old one, or after it."""
    switch = Switch()
    for slots in (1, 2):
        async with serving(switch.app(concurrency=slots), database, lease=300, heartbeat=100):
            key = f"slots {slots}"
            switch.started.clear()
            await jobs.add(key)
            await switch.has_started()
            await jobs.set(key, "queued")
            await switch.has_started(2)
            await until(partial(switch.stopped.__contains__, key))
            switch.go.set()
            await jobs.becomes(key, "completed")
            switch.go = anyio.Event()
            assert await jobs.history(key) == ["completed"]


async def test_the_attempt_that_was_replaced_does_not_disturb_the_new_one(jobs: Table, database: str) -> None:
    """An old attempt that can't be stopped goes on reporting beside its successor."""
    old_done, new_done = anyio.Event(), anyio.Event()
    fences: list[Job] = []

    async def handle(job: Job) -> dict[str, str]:
        fences.append(job)
        if len(fences) == 1:
            with anyio.CancelScope(shield=True):
                await old_done.wait()
            return {"url": "old"}
        job.progress(50)
        await new_done.wait()
        return {"url": "new"}

    async def shows_50() -> bool:
        return bool((await jobs.row("a"))["progress"] == 50)

    async with serving(app_of(handle, concurrency=2), database) as service:
        await jobs.add("a")
        await until(lambda: len(fences) == 1)
        await jobs.set("a", "queued")
        await until(lambda: len(fences) == 2)
        fences[0].progress(80)
        await until(shows_50)
        old_done.set()
        await until(lambda: service.engine.status.active_jobs() == 1)
        new_done.set()
        assert (await jobs.becomes("a", "completed"))["url"] == "new"
        await until(lambda: service.metric("jobs_finished_total", queue="jobs", outcome="completed") == 1)
    assert await jobs.history("a") == ["completed"]


@pytest.mark.parametrize("word", ["processing", "cancelled"])
async def test_a_waiting_row_that_somebody_else_takes_is_left_to_them(
    jobs: Table, database: str, word: str
) -> None:
    switch = Switch()
    async with serving(switch.app(), database):
        await jobs.add("first")
        await switch.has_started()
        await jobs.add("a", "last")
        await jobs.set("a", word)
        switch.go.set()
        await jobs.becomes("last", "completed")
        assert switch.started == ["first", "last"]
        assert (await jobs.row("a"))["status"] == word


async def test_at_shutdown_jobs_may_finish_within_the_grace(jobs: Table, database: str) -> None:
    switch = Switch()
    async with serving(switch.app(), database, shutdown_grace=30) as service:
        await jobs.add("a", "b")
        await switch.has_started()
        service.engine.shut_down()
        switch.go.set()
    assert await jobs.history("a") == ["completed"]
    assert switch.started == ["a"], "nothing more is claimed"
    assert await jobs.db.fetchval("select count(*) from listener.worker") == 0


@pytest.mark.parametrize("twice", [False, True])
async def test_what_does_not_finish_is_handed_on_at_once_uncounted(
    jobs: Table, database: str, twice: bool
) -> None:
    first, second = Switch(), Switch()
    grace = 30.0 if twice else 0.05
    async with serving(first.app(), database, shutdown_grace=grace, lease=300, heartbeat=100) as old:
        await jobs.add("a")
        await first.has_started()
        attempts: list[int] = []

        async def note(job: Job) -> None:
            attempts.append(job.attempt)
            await second(job)

        async with serving(app_of(note), database, lease=300, heartbeat=100):
            old.engine.shut_down()
            if twice:
                old.engine.shut_down(at_once=True)
            await second.has_started()
            assert (await jobs.row("a"))["status"] == "processing", "a browser sees no flicker"
            second.go.set()
            await jobs.becomes("a", "completed")
    assert first.stopped == ["a"]
    assert attempts == [1]
    assert await jobs.history("a") == ["completed"]


async def test_a_claim_on_its_way_at_shutdown_is_given_back_too(jobs: Table, database: str) -> None:
    """However the shutdown falls, no job is left to a lease."""
    for number in range(20):
        async with serving(Switch().app(concurrency=5), database, lease=300, heartbeat=100) as service:
            await jobs.add(*(f"{number}-{n}" for n in range(5)))
            await anyio.sleep(0.0005 * number)
            service.engine.shut_down()
    assert await jobs.db.fetchval("select count(*) from listener.delivery where state = 'running'") == 0
    assert await jobs.db.fetchval("select max(attempt) from listener.delivery") == 0


@pytest.mark.parametrize("verb", ["heartbeat", "progress"], ids=["a beat fails", "what settles fails"])
async def test_an_internal_error_ends_the_service_but_hands_its_jobs_on(
    jobs: Table, database: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(engine, "SETTLE_SECONDS", 0.3)
    switch = Switch()

    async def handle(job: Job) -> None:
        job.progress(10)
        await switch(job)

    arguments = await jobs.db.fetchval(
        "select pg_get_function_arguments(oid) from pg_proc"
        " where proname = $1 and pronamespace = 'listener'::regnamespace",
        verb,
    )

    async def serve() -> None:
        async with serving(app_of(handle), database, lease=300, heartbeat=0.2):
            await jobs.db.execute(
                f"create or replace function listener.{verb}({arguments}) returns jsonb language sql"
                " as 'select ''3''::jsonb'"
            )
            await jobs.add("a")
            await switch.has_started()
            await until(lambda: switch.stopped == ["a"])

    with pytest.raises(ExceptionGroup) as raised:
        await serve()
    assert raised.group_contains(TypeError)
    delivery = await jobs.delivery("a")
    assert delivery is not None
    assert (delivery["state"], delivery["attempt"]) == ("waiting", 0)
    assert await jobs.db.fetchval("select count(*) from listener.worker") == 0
