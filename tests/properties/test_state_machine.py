"""Anything may happen to a job in any order: the database is driven by chance, beside a model of a few lines.

The model knows of each job what a person would: the word that its row shows, whether the service owes it an end, how
often it was begun, and which claim of it is the live one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from listener.database.model import Delivery, Verb
from listener.database.store import Store
from listener.database.transport import Transport
from listener.database.transport_postgres import PostgresTransport
from listener.database.transport_rest import RestTransport
from tests.support.standin.stack import Stack
from tests.support.table import StoreTable, named

MAX_ATTEMPTS = 3
FINAL = {"completed", "failed", "cancelled"}
RUNNING = {"processing", "enriching"}
WORDS = ["queued", *sorted(RUNNING), *sorted(FINAL), "archived"]
SAYS: dict[Verb, dict[str, object]] = {
    "complete": {},
    "fail": {"error": "no use"},
    "retry": {"error": "again", "delay": 60},
    "snooze": {"delay": 60},
    "release": {},
    "stage": {"stage": "enriching"},
    "checkpoint": {"value": 1},
    "progress": {"percent": 5},
}
NUMBERS = st.integers(1, 4)
WORKERS = st.sampled_from(["w1", "w2"])


@dataclass
class Job:
    """The model's knowledge of one job: `state` of the delivery, None without one; `live`, the fence that counts."""

    word: str
    state: str | None = None
    attempt: int = 0
    stage: str | None = None
    live: int | None = None
    worker: str | None = None

    def begin_anew(self) -> None:
        self.state, self.attempt, self.stage, self.live = "waiting", 0, None, None

    def forget(self) -> None:
        self.state, self.attempt, self.stage, self.live = None, 0, None, None

    def put_back(self, state: str, *, counted: bool) -> None:
        self.state, self.live = state, None
        self.attempt -= not counted


def number_of(key: str | None) -> int:
    return int(str(key).removeprefix("job "))


@dataclass
class World:
    """The database, its user, and the thread of time that they share with the model."""

    runner: asyncio.Runner
    jobs: StoreTable

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)


@pytest.fixture
def world(request: pytest.FixtureRequest, database: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        project = Stack(database)
        if request.param == "rest":
            runner.run(project.start())
            transport: Transport = RestTransport(project.url, project.secret_key)
        else:
            transport = PostgresTransport(database)
        db = runner.run(asyncpg.connect(database))
        jobs = StoreTable(db, Store(transport))
        runner.run(jobs.create(stages=["processing", "enriching"], max_attempts=MAX_ATTEMPTS))
        yield World(runner, jobs)
        runner.run(db.close())
        runner.run(transport.close())
        runner.run(project.stop())


@dataclass
class Claims:
    """Attempts that the workers believe they run; they may still try to write those that were reported lost."""

    held: dict[str, list[Delivery]] = field(default_factory=lambda: {"w1": [], "w2": []})
    all: list[Delivery] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    world: World

    @initialize()
    def empty(self) -> None:
        self.model: dict[int, Job] = {}
        self.claims = Claims()
        self.fence = 0
        self.paused = False
        self.do(
            self.jobs.db.execute(
                "truncate jobs, listener.delivery, listener.attempt; select listener.resume('jobs')"
            )
        )

    @property
    def jobs(self) -> StoreTable:
        return self.world.jobs

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.world.do(work)

    def of(self, delivery: Delivery) -> Job | None:
        """The model of a claimed job, if this claim still counts."""
        job = self.model.get(number_of(delivery.key))
        return job if job is not None and job.live == delivery.fence else None

    # The user.

    @rule(number=NUMBERS, word=st.sampled_from(WORDS))
    def insert(self, number: int, word: str) -> None:
        if number not in self.model:
            self.do(self.jobs.add(number, status=word))
            self.model[number] = Job(word)
            if word == "queued":
                self.model[number].begin_anew()

    @rule(number=NUMBERS, word=st.sampled_from(WORDS))
    def edit(self, number: int, word: str) -> None:
        """The design's table."""
        if (job := self.model.get(number)) is None:
            return
        self.do(self.jobs.set(number, word))
        if job.word != word:
            if word == "queued" and job.state in (None, "running"):
                job.begin_anew()
            elif (word in RUNNING and job.state != "running") or word in FINAL or word == "archived":
                job.forget()
            job.word = word

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        self.do(self.jobs.delete(number))
        self.model.pop(number, None)

    @rule(number=NUMBERS)
    def requeue(self, number: int) -> None:
        found = self.do(self.jobs.store.requeue("jobs", [f"job {number}"]))
        assert found == (number in self.model)
        if number in self.model:
            self.model[number].begin_anew()
            self.model[number].word = "queued"

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        ended = self.do(self.jobs.store.cancel("jobs", [f"job {number}"]))
        job = self.model.get(number)
        assert ended == (job is not None and job.word in RUNNING | {"queued"})
        if job is not None and ended:
            job.forget()
            job.word = "cancelled"

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        changed = self.do(self.jobs.store.pause("jobs") if paused else self.jobs.store.resume("jobs"))
        assert changed == (paused != self.paused)
        self.paused = paused

    @rule(number=NUMBERS)
    def insert_unheard(self, number: int) -> None:
        """A row that comes while the triggers are off, and is found by reconcile."""
        if number in self.model:
            return
        self.do(self.jobs.db.execute("alter table jobs disable trigger user"))
        self.do(self.jobs.add(number))
        self.do(self.jobs.db.execute("alter table jobs enable trigger user"))
        ((found,),) = [tuple(part["queues"].values()) for part in self.do(self.jobs.store.reconcile())]
        assert found == 1
        self.model[number] = Job("queued")
        self.model[number].begin_anew()

    # Time.

    @rule()
    def let_scheduled_jobs_become_due(self) -> None:
        self.do(
            self.jobs.db.execute("update listener.delivery set state = 'waiting' where state = 'scheduled'")
        )
        for job in self.model.values():
            job.state = "waiting" if job.state == "scheduled" else job.state

    @rule()
    def let_leases_end(self) -> None:
        self.do(self.jobs.expire())
        rescued = self.do(self.jobs.store.rescue())
        assert len(rescued) == sum(job.state == "running" for job in self.model.values())
        for job in self.model.values():
            if job.state != "running":
                continue
            if job.word != (job.stage or "processing"):
                # Moved to another running word by hand: only a spent attempt looks at the row, and finds it foreign.
                spent = job.attempt >= MAX_ATTEMPTS
                job.forget() if spent else job.put_back("waiting", counted=True)
            elif job.attempt >= MAX_ATTEMPTS:
                job.forget()
                job.word = "failed"
            else:
                job.put_back("waiting", counted=True)

    # The service.

    @rule(worker=WORKERS, slots=st.integers(1, 4))
    def claim(self, worker: str, slots: int) -> None:
        claim = self.do(self.jobs.store.claim(worker, {"jobs": slots}))
        waiting = [job for job in self.model.values() if job.state == "waiting"]
        can_start = [job for job in waiting if job.word in ("queued", job.stage or "processing")]
        assert len(claim.jobs) == (0 if self.paused else min(slots, len(can_start)))
        for delivery in claim.jobs:
            job = self.model[number_of(delivery.key)]
            assert job in can_start
            assert delivery.fence > self.fence
            if job.word == "queued":
                job.word, job.stage = "processing", None
            job.state, job.live, job.worker = "running", delivery.fence, worker
            job.attempt += 1
            assert (delivery.attempt, delivery.reached, delivery.row["status"]) == (
                job.attempt,
                job.stage,
                job.word,
            )
        for miss in claim.misses:
            job = self.model[number_of(miss.key)]
            assert (miss.why, job in waiting, job in can_start) == ("word", True, False)
            job.forget()
        self.fence = max([self.fence, *(delivery.fence for delivery in claim.jobs)])
        self.claims.held[worker] += claim.jobs
        self.claims.all += claim.jobs

    @rule(worker=WORKERS)
    def crash(self, worker: str) -> None:
        self.claims.held[worker] = []

    @rule(worker=WORKERS, data=st.data())
    def heartbeat(self, worker: str, data: st.DataObject) -> None:
        """With some of what the worker runs; the others were claimed long ago."""
        held = self.claims.held[worker]
        said = [delivery for delivery in held if data.draw(st.booleans())]
        self.do(
            self.jobs.db.execute("update listener.delivery set claimed_at = claimed_at - interval '1 hour'")
        )
        lost = self.do(self.jobs.store.heartbeat(worker, [(one.id, one.fence) for one in said]))
        live = [one for one in said if self.of(one)]
        assert {(one.delivery, one.fence) for one in lost} == {
            (one.id, one.fence) for one in said if one not in live
        }
        for job in self.model.values():
            if (
                job.state == "running"
                and job.worker == worker
                and job.live not in {one.fence for one in said}
            ):
                job.put_back("waiting", counted=False)
        self.claims.held[worker] = live

    @precondition(lambda self: self.claims.all)
    @rule(verb=st.sampled_from(sorted(SAYS)), data=st.data())
    def settle(self, verb: Verb, data: st.DataObject) -> None:
        """Of some claims, live and stale ones in one batch."""
        some = data.draw(
            st.lists(st.sampled_from(self.claims.all), min_size=1, max_size=4, unique_by=lambda one: one.id)
        )
        answers = self.do(self.jobs.store.settle(verb, [named(delivery, **SAYS[verb]) for delivery in some]))
        for delivery in some:
            job = self.of(delivery)
            foreign = (
                job is not None
                and job.word != (job.stage or "processing")
                and verb not in ("snooze", "release", "checkpoint")
            )
            if job is None or foreign:
                assert answers[delivery.id].outcome == "lost", (verb, delivery)
                if job is not None:
                    job.forget()
                continue
            spent = verb == "retry" and job.attempt >= MAX_ATTEMPTS
            assert answers[delivery.id].outcome == ("spent" if spent else "ok")
            if verb in ("complete", "fail") or spent:
                job.forget()
                job.word = "completed" if verb == "complete" else "failed"
            elif verb == "retry":
                job.put_back("scheduled", counted=True)
                job.word = job.stage or "queued"
            elif verb in ("snooze", "release"):
                job.put_back("scheduled" if verb == "snooze" else "waiting", counted=False)
            elif verb == "stage":
                job.stage = job.word = "enriching"

    # What always holds.

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        rows = self.do(
            self.jobs.db.fetch(
                "select j.id, j.status, d.state, coalesce(d.attempt, 0) as attempt, d.fence from jobs as j"
                " left join listener.delivery as d on d.job_key = j.id"
            )
        )
        assert {row["id"] for row in rows} == {f"job {number}" for number in self.model}
        for row in rows:
            job = self.model[number_of(row["id"])]
            assert (row["status"], row["state"], row["attempt"]) == (job.word, job.state, job.attempt)
            assert job.live is None or row["fence"] == job.live

    @invariant()
    def no_job_is_lost(self) -> None:
        assert (
            self.do(
                self.jobs.db.fetchval(
                    "select count(*) from jobs as j left join listener.delivery as d on d.job_key = j.id"
                    " where j.status = 'queued' and d.id is null"
                )
            )
            == 0
        )

    @invariant()
    def no_attempt_ends_twice_and_none_is_begun_too_often(self) -> None:
        assert (
            self.do(
                self.jobs.db.fetchval(
                    "select count(*) from (select 1 from listener.attempt where outcome in ('completed', 'failed')"
                    " group by job_key, fence having count(*) > 1) as twice"
                )
            )
            == 0
        )
        assert (
            self.do(self.jobs.db.fetchval("select coalesce(max(attempt), 0) from listener.delivery"))
            <= MAX_ATTEMPTS
        )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("world", "share"), [("postgres", 1), ("rest", 4)], indirect=["world"])
def test_anything_may_happen(world: World, share: int) -> None:
    """Over the REST API with a share of the examples, since the SQL behind it is the same."""
    Machine.world = world
    examples = settings().max_examples
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=(examples if examples > 100 else 120) // share,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
