"""A table refuses a write for now, or only at COMMIT: the row is tried again, and the others go on."""

from __future__ import annotations

import asyncpg
import pytest

from listener.database.model import Verb
from listener.database.store import Store
from listener.errors import passes_with_time
from tests.support.table import StoreTable, settle

LATE = """
create function late() returns trigger language plpgsql as $$
begin
  if new.url = 'bad' and new.status = '{word}' then raise exception 'not so' using errcode = '{code}'; end if;
  return null;
end $$;
create constraint trigger late after update on jobs deferrable initially deferred
for each row execute function late();
"""
# https://www.postgresql.org/docs/18/errcodes-appendix.html, and some that it does not list.
SQLSTATES = """
00000 01000 02000 03000 08000 08003 08006 08001 08004 08007 08P01 09000 0A000 0B000 0F000 0L000 0LP01 0P000 0Z000 20000
21000 22000 2202E 22021 22008 22012 22005 2200B 22022 22015 2201E 22014 22016 2201F 2201G 22018 22007 22019 2200D 22025
22P06 22010 22023 22013 2201B 2201W 2201X 2202H 2202G 22009 2200C 2200G 22004 22002 22003 2200H 22026 22001 22011 22027
22024 2200F 22P01 22P02 22P03 22P04 22P05 2200L 2200M 2200N 2200S 2200T 22030 23000 23001 23502 23503 23505 23514 23P01
24000 25000 25001 25002 25008 25003 25004 25005 25006 25007 25P01 25P02 25P03 25P04 26000 27000 28000 28P01 2B000 2BP01
2D000 2F000 34000 38000 39000 3B000 3D000 3F000 40000 40002 40001 40003 40P01 42000 42601 42501 42846 42803 42P20 42P19
42830 42602 42622 42939 42804 42P18 42P21 42P22 42809 428C9 42703 42883 42P01 42P02 42704 42701 42P03 44000 53000 53100
53200 53300 53400 54000 54001 54011 54023 55000 55006 55P02 55P03 55P04 57000 57014 57P01 57P02 57P03 57P04 57P05 58000
58030 58P01 58P02 F0000 HV000 P0000 P0001 P0002 P0003 P0004 XX000 XX001 XX002 APP01 ZZZZZ
"""


@pytest.fixture
async def jobs(db: asyncpg.Connection, store: Store) -> StoreTable:
    """Three rows, the second of them bad."""
    jobs = await StoreTable(db, store).create()
    await jobs.add(1)
    await jobs.add(2, url="bad")
    await jobs.add(3)
    return jobs


async def test_database_and_program_agree_on_what_passes_with_time(
    db: asyncpg.Connection, store: Store
) -> None:
    states = SQLSTATES.split()
    rows = await db.fetch(
        "select state, listener.passes_with_time(state) as passes from unnest($1::text[]) as state", states
    )
    assert {row["state"]: row["passes"] for row in rows} == {
        state: passes_with_time(state) for state in states
    }


async def test_a_claim_that_is_refused_at_commit_concerns_its_row_only(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await db.execute(LATE.format(word="processing", code="check_violation"))
    claim = await jobs.store.claim("w1", {"jobs": 5})
    assert [job.key for job in claim.jobs] == ["job 1", "job 3"]
    assert [(miss.why, miss.error) for miss in claim.misses] == [("refused", "not so")]


@pytest.mark.parametrize(
    ("verb", "rest", "word"),
    [
        ("progress", {"percent": 5}, "processing"),
        ("complete", {}, "completed"),
        ("fail", {"error": "x"}, "failed"),
    ],
)
async def test_a_write_that_is_refused_at_commit_concerns_its_row_only(
    jobs: StoreTable, db: asyncpg.Connection, verb: Verb, rest: dict[str, object], word: str
) -> None:
    claimed = await jobs.claim()
    await db.execute(LATE.format(word=word, code="check_violation"))
    answers = await settle(jobs.store, verb, claimed, **rest)
    assert [answer.outcome for answer in answers] == ["ok", "refused", "ok"]


async def test_a_rescue_that_is_refused_at_commit_concerns_its_row_only(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    await jobs.attach(max_attempts=1)
    await jobs.claim()
    await db.execute(LATE.format(word="failed", code="check_violation"))
    await jobs.expire()
    assert len(await jobs.store.rescue()) == 3
    assert await jobs.words() == ["failed", "processing", "failed"]
    assert await jobs.state(2) == "broken"


@pytest.mark.parametrize("code", ["unique_violation", "disk_full", "out_of_memory", "io_error"])
async def test_a_claim_that_is_refused_for_now_is_tried_again(
    jobs: StoreTable, db: asyncpg.Connection, code: str
) -> None:
    await db.execute(LATE.format(word="processing", code=code))
    claim = await jobs.store.claim("w1", {"jobs": 5})
    assert [job.key for job in claim.jobs] == ["job 1", "job 3"]
    assert [(miss.why, miss.error) for miss in claim.misses] == [("later", "not so")]
    assert (await jobs.word(2), await jobs.state(2)) == ("queued", "scheduled")
    await db.execute(
        "drop trigger late on jobs; update listener.delivery set run_at = now() where job_key = 'job 2'"
    )
    (job,) = await jobs.claim()
    assert (job.key, job.attempt) == ("job 2", 1)


async def test_an_outcome_that_is_refused_for_now_changes_nothing_until_it_is_the_last_try(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    claimed = await jobs.claim()
    await db.execute(LATE.format(word="completed", code="unique_violation"))
    answers = await settle(jobs.store, "complete", claimed)
    assert [(answer.outcome, answer.sqlstate) for answer in answers] == [
        ("ok", ""),
        ("later", "23505"),
        ("ok", ""),
    ]
    assert (await jobs.word(2), await jobs.state(2)) == ("processing", "running")
    assert (await jobs.settle("complete", claimed[1], last=True)).outcome == "refused"
    assert (await jobs.row(2))["error"] == "the table refused the result: not so"


async def test_a_retry_keeps_the_running_word_while_the_ready_word_is_refused(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    claimed = await jobs.claim()
    await db.execute(LATE.format(word="queued", code="unique_violation"))
    answers = await settle(jobs.store, "retry", claimed, error="the provider is away", delay=0)
    assert [answer.outcome for answer in answers] == ["ok", "ok", "ok"]
    assert (await jobs.word(2), await jobs.state(2)) == ("processing", "scheduled")
    again = {job.key: job for job in (await jobs.store.claim("w1", {"jobs": 5})).jobs}
    assert again["job 2"].attempt == 2
    assert await db.fetchval("select error from listener.attempt where job_key = 'job 2'") == (
        "the provider is away (the row keeps its word: not so)"
    )


async def test_a_refused_failure_keeps_the_error_of_the_handler(
    jobs: StoreTable, db: asyncpg.Connection
) -> None:
    claimed = await jobs.claim()
    await db.execute(LATE.format(word="failed", code="raise_exception"))
    await settle(jobs.store, "fail", claimed, error="the provider is away")
    assert await db.fetchval("select error from listener.delivery") == (
        "the provider is away (the table refused the outcome: not so)"
    )
