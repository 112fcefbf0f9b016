"""One bad row stops nobody: each verb meets a row that the user's own rules refuse."""

from __future__ import annotations

import asyncpg
import pytest

from listener.database.model import Verb
from listener.database.store import Store
from tests.support.table import StoreTable, named, settle

# The user's trigger lets nobody touch the poisoned row, unless the session says so.
POISON = """
create function poison() returns trigger language plpgsql as $$
begin
  if new.url = 'poison' and (tg_argv[0] is null or new.status = tg_argv[0]) then raise exception 'poisoned'; end if;
  return new;
end $$;
"""


async def poison(db: asyncpg.Connection, word: str | None = None) -> None:
    """Let every update of a poisoned row fail, or only those that set this word."""
    await db.execute(POISON)
    argument = "" if word is None else f"'{word}'"
    await db.execute(
        f"create trigger poison before update on jobs for each row execute function poison({argument})"
    )


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    """Three rows, the second of them poisoned; nothing refuses it yet."""
    jobs = await StoreTable(db, store).create(stages=["processing", "enriching"])
    await jobs.add(1)
    await jobs.add(2, url="poison")
    await jobs.add(3)
    return jobs


async def test_claim_takes_the_others_and_keeps_the_bad_one_aside(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await poison(db)
    claim = await jobs.store.claim("w1", {"jobs": 2})
    assert [job.key for job in claim.jobs] == ["job 1", "job 3"]
    assert [(miss.key, miss.why, miss.error) for miss in claim.misses] == [("job 2", "refused", "poisoned")]
    assert await jobs.state(2) == "broken"
    assert await jobs.claim() == []
    assert [(job["key"], job["error"]) for job in await jobs.store.jobs("jobs", "broken")] == [
        ("job 2", "poisoned")
    ]


KEEPS = {
    "refuses in silence": ("before", "return null;"),
    "sets it back": ("before", "new.status := old.status; return new;"),
    "sets it back later": ("after", "update jobs set status = 'queued' where id = new.id; return null;"),
}


@pytest.mark.parametrize(("when", "does"), KEEPS.values(), ids=KEEPS)
async def test_a_row_that_a_trigger_keeps_ready_is_not_run_again_and_again(
    jobs: StoreTable, db: asyncpg.Connection, when: str, does: str
) -> None:
    await db.execute(
        f"create function keep() returns trigger language plpgsql as $$ begin {does} end $$;"
        f" create trigger keep {when} update on jobs for each row"
        " when (new.status = 'processing' and new.url = 'poison') execute function keep()"
    )
    claim = await jobs.store.claim("w1", {"jobs": 5})
    assert [job.key for job in claim.jobs] == ["job 1", "job 3"]
    assert [miss.error for miss in claim.misses] == [
        "a trigger of public.jobs keeps the row job 2 in the word 'queued'"
    ]
    assert (await jobs.word(2), await jobs.state(2)) == ("queued", "broken")


@pytest.mark.parametrize(
    ("verb", "rest"),
    [
        ("complete", {"columns": {"message": "done"}}),
        ("fail", {"error": "no use"}),
        ("retry", {"error": "again"}),
    ],
)
async def test_a_batch_of_ends_is_settled_but_for_the_bad_one(
    jobs: StoreTable, db: asyncpg.Connection, verb: Verb, rest: dict[str, object]
) -> None:
    claimed = await jobs.claim()
    await poison(db)
    answers = await settle(jobs.store, verb, claimed, **rest)
    assert [answer.outcome for answer in answers] == ["ok", "refused", "ok"]
    assert "poisoned" in str(answers[1].error)
    assert await jobs.word(1) == await jobs.word(3) != "processing"
    assert (await jobs.word(2), await jobs.state(2)) == ("processing", "broken")


@pytest.mark.parametrize(
    ("verb", "rest"),
    [("progress", {"percent": 5}), ("stage", {"stage": "enriching", "columns": {"message": "x"}})],
)
async def test_a_batch_of_news_is_written_but_for_the_bad_one(
    jobs: StoreTable, db: asyncpg.Connection, verb: Verb, rest: dict[str, object]
) -> None:
    claimed = await jobs.claim()
    await poison(db)
    answers = await settle(jobs.store, verb, claimed, **rest)
    assert [answer.outcome for answer in answers] == ["ok", "refused", "ok"]
    assert await jobs.state(2) == "running"


async def test_a_result_that_a_check_refuses_fails_its_job_with_that_reason(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute("alter table jobs add check (priority < 10)")
    claimed = await jobs.claim()
    answers = await jobs.store.settle(
        "complete", [named(job, columns={"priority": 4 + n * 4}) for n, job in enumerate(claimed)]
    )
    assert [answers[job.id].outcome for job in claimed] == ["ok", "ok", "refused"]
    row = await jobs.row(3)
    assert row["status"] == "failed"
    assert row["error"].startswith(
        'the table refused the result: new row for relation "jobs" violates check constraint'
    )


async def test_rescue_of_a_bad_last_attempt_keeps_it_aside(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await jobs.attach(stages=["processing", "enriching"], max_attempts=1)
    await jobs.claim()
    await poison(db)
    await jobs.expire()
    assert [found["spent"] for found in await jobs.store.rescue()] == [True, True, True]
    assert await jobs.words() == ["failed", "processing", "failed"]
    assert await jobs.state(2) == "broken"
    assert await jobs.store.rescue() == []


async def test_a_bad_word_is_found_in_the_middle_of_a_life(jobs: StoreTable, db: asyncpg.Connection) -> None:
    claimed = await jobs.claim()
    await poison(db, "completed")
    answers = await settle(jobs.store, "complete", claimed)
    assert [answer.outcome for answer in answers] == ["ok", "refused", "ok"]
    assert await jobs.words() == ["completed", "failed", "completed"]


async def test_a_broken_job_runs_again_when_its_user_mends_it_and_requeues(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await poison(db)
    await jobs.claim()
    await db.execute("alter table jobs disable trigger poison")
    assert await jobs.store.requeue("jobs", ["job 2"]) == 1
    assert [job.key for job in await jobs.claim()] == ["job 2"]


async def test_a_renamed_column_breaks_its_jobs_until_the_table_is_attached_anew(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    (running,) = await jobs.claim(1)
    await db.execute("alter table jobs rename status to stand")

    claim = await jobs.store.claim("w1", {"jobs": 10})
    assert (claim.jobs, [miss.why for miss in claim.misses]) == ([], ["refused", "refused"])
    assert (await jobs.settle("complete", running)).outcome == "refused"
    (found,) = await jobs.store.reconcile()
    assert found["problem"].startswith("rows of public.jobs can't be read: ")

    await jobs.attach(status="stand", stages=["processing", "enriching"])
    claimed = await jobs.claim()
    assert [job.key for job in claimed] == ["job 1", "job 2", "job 3"]
    assert {answer.outcome for answer in await settle(jobs.store, "complete", claimed)} == {"ok"}


async def test_a_dropped_column_that_was_found_by_name_is_mended_by_attaching_anew(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute("alter table jobs drop column progress")
    assert [miss.why for miss in (await jobs.store.claim("w1", {"jobs": 10})).misses] == ["refused"] * 3
    await jobs.attach(stages=["processing", "enriching"])
    assert len(await jobs.claim()) == 3
