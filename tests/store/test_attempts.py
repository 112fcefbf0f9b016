"""A worker's writes about its attempt count only while it holds the attempt."""

from __future__ import annotations

import asyncpg
import pytest

from listener.database.model import Verb
from listener.database.store import Store
from listener.errors import DatabaseError
from tests.support.table import StoreTable, named, settle

VERBS: dict[Verb, dict[str, object]] = {
    "complete": {"columns": {"url": "stale"}},
    "fail": {"error": "stale"},
    "retry": {"error": "stale"},
    "snooze": {"delay": 1},
    "release": {},
    "progress": {"percent": 99},
    "stage": {"stage": "enriching"},
    "checkpoint": {"value": "stale"},
}
SNOOZED_OR_RELEASED: list[tuple[Verb, dict[str, object]]] = [("snooze", {"delay": 0}), ("release", {})]


@pytest.fixture
async def staged(db: asyncpg.Connection, store: Store) -> StoreTable:
    """Rows with several running words."""
    return await StoreTable(db, store).create(stages=["processing", "enriching", "refining"])


@pytest.mark.parametrize("verb", VERBS)
async def test_nothing_counts_after_the_lease_has_moved_on(staged: StoreTable, verb: Verb) -> None:
    await staged.add(1)
    old = await staged.claim_one("w1")
    await staged.expire()
    await staged.store.rescue()
    new = await staged.claim_one("w2")
    before = (await staged.row(1), await staged.delivery(1))

    assert (await staged.settle(verb, old, **VERBS[verb])).outcome == "lost"
    assert (await staged.row(1), await staged.delivery(1)) == before
    assert (await staged.settle("complete", new)).outcome == "ok"


@pytest.mark.parametrize("verb", VERBS)
async def test_a_stale_fence_beside_the_true_one_in_a_batch_writes_nothing(
    staged: StoreTable, verb: Verb
) -> None:
    await staged.add(1)
    old = await staged.claim_one()
    await staged.settle("release", old)
    new = await staged.claim_one()

    await staged.store.settle(
        verb, [named(old, **VERBS[verb]), named(new, percent=7, stage="refining", delay=60, error="true")]
    )

    assert (await staged.row(1))["url"] is None
    assert (await staged.row(1))["error"] in {None, "true"}
    assert (await staged.row(1))["status"] != "enriching"
    if verb == "progress":
        assert (await staged.row(1))["progress"] == 7
    assert (await staged.history(1)).count("completed") + (await staged.history(1)).count("failed") <= 1


@pytest.mark.parametrize("verb", VERBS)
async def test_an_unknown_delivery_is_lost(staged: StoreTable, verb: Verb) -> None:
    await staged.add(1)
    job = await staged.claim_one()
    answers = await staged.store.settle(
        verb, [{"delivery": 0, "fence": 1, **VERBS[verb]}, named(job, **VERBS[verb])]
    )
    assert (answers[0].outcome, answers[job.id].outcome) == ("lost", "ok")


@pytest.mark.parametrize("word", ["completed", "failed", "cancelled"])
@pytest.mark.parametrize("verb", VERBS)
async def test_final_words_are_final(staged: StoreTable, verb: Verb, word: str) -> None:
    """Even when the user's change was not heard."""
    await staged.add(1)
    job = await staged.claim_one()
    await staged.db.execute("alter table jobs disable trigger user")
    await staged.set(1, word)
    row = await staged.row(1)

    await staged.settle(verb, job, **VERBS[verb])
    await staged.expire()
    await staged.store.rescue()
    await staged.store.reconcile()
    assert await staged.claim() == []
    assert await staged.row(1) == row


async def test_attempts_are_retried_with_backoff_until_they_are_spent(jobs: StoreTable) -> None:
    await jobs.add(1)
    for attempt in (1, 2):
        job = await jobs.claim_one()
        assert job.attempt == attempt
        assert (await jobs.settle("retry", job, error=f"failure {attempt}", warnings=["odd"])).outcome == "ok"
        delay = await jobs.db.fetchval(
            "select extract(epoch from run_at - clock_timestamp())::float8 from listener.delivery"
        )
        assert delay <= 2 * 2 ** (attempt - 1)
        assert (await jobs.word(1), await jobs.state(1)) == ("queued", "scheduled")
        await jobs.become_due()
    assert (await jobs.settle("retry", await jobs.claim_one(), error="failure 3")).outcome == "spent"

    row = await jobs.row(1)
    assert (row["status"], row["error"]) == ("failed", "failure 3")
    assert await jobs.history(1) == ["retried", "retried", "failed"]
    assert await jobs.delivery(1) is None


async def test_one_batch_may_hold_first_and_last_attempts(jobs: StoreTable) -> None:
    await jobs.attach(max_attempts=2)
    await jobs.add(1, 2)
    await settle(jobs.store, "retry", await jobs.claim(1), error="once", delay=0)
    both = sorted(await jobs.claim(), key=lambda job: job.key)
    assert [job.attempt for job in both] == [2, 1]
    assert [answer.outcome for answer in await settle(jobs.store, "retry", both, error="again")] == [
        "spent",
        "ok",
    ]
    assert await jobs.words() == ["failed", "queued"]


async def test_a_retry_may_name_its_delay(jobs: StoreTable) -> None:
    await jobs.add(1)
    await jobs.settle("retry", await jobs.claim_one(), error="later", delay=3600)
    assert (await jobs.store.claim("w1", {"jobs": 1})).next_due == pytest.approx(3600, abs=5)


async def test_neither_snooze_nor_release_counts_an_attempt(jobs: StoreTable) -> None:
    await jobs.add(1)
    for _ in range(4):
        for verb, rest in SNOOZED_OR_RELEASED:
            job = await jobs.claim_one()
            assert job.attempt == 1
            await jobs.settle(verb, job, **rest)
    assert (await jobs.claim_one()).snoozes == 4
    assert await jobs.history(1) == []


async def test_a_checkpoint_outlives_the_attempt(jobs: StoreTable) -> None:
    await jobs.add(1)
    first = await jobs.claim_one()
    assert first.saved is None
    await jobs.settle("checkpoint", first, value={"request": [1, None]})
    await jobs.settle("retry", first, error="crash", delay=0)
    second = await jobs.claim_one()
    assert second.saved == {"request": [1, None]}
    await jobs.settle("checkpoint", second, value=None)
    await jobs.settle("release", second)
    assert (await jobs.claim_one()).saved is None


async def test_stages_move_on_and_the_first_of_them_is_no_resumption(staged: StoreTable) -> None:
    await staged.add(1)
    job = await staged.claim_one()
    await staged.settle("retry", job, error="early", delay=0)
    assert await staged.word(1) == "queued"

    job = await staged.claim_one()
    assert job.reached is None
    await staged.settle("stage", job, stage="enriching", columns={"url": "a"})
    await staged.settle("stage", job, stage="refining", columns={"url": "b"})
    await staged.settle("retry", job, error="late", delay=0)
    assert await staged.word(1) == "refining"

    job = await staged.claim_one()
    assert (job.reached, job.row["url"]) == ("refining", "b")
    await staged.settle("complete", job)
    assert await staged.word(1) == "completed"


async def test_a_word_that_is_no_stage_is_refused(staged: StoreTable) -> None:
    await staged.add(1)
    job = await staged.claim_one()
    answer = await staged.settle("stage", job, stage="completed")
    assert answer.outcome == "refused"
    assert answer.error == "'completed' is not a stage of jobs"
    assert await staged.word(1) == "processing"


async def test_an_unknown_result_column_fails_only_its_job(jobs: StoreTable) -> None:
    await jobs.add(1, 2)
    bad, good = await jobs.claim()
    answers = await jobs.store.settle(
        "complete", [named(bad, columns={"ulr": "x"}), named(good, columns={"url": "x"})]
    )
    assert (answers[bad.id].outcome, answers[good.id].outcome) == ("refused", "ok")
    assert answers[bad.id].error == "the table public.jobs has no column ulr"
    assert await jobs.words() == ["failed", "completed"]
    assert "no column ulr" in (await jobs.row(1))["error"]


async def test_a_nul_fails_only_its_call(jobs: StoreTable) -> None:
    await jobs.add(1, 2)
    one, two = await jobs.claim()
    with pytest.raises(DatabaseError) as refused:
        await jobs.settle("complete", one, columns={"url": "a\0b"})
    assert refused.value.sqlstate == "22P05"
    assert await jobs.words() == ["processing", "processing"]
    assert (await jobs.settle("complete", two)).outcome == "ok"
    assert (await jobs.settle("complete", one)).outcome == "ok"


async def test_an_error_is_cut_to_the_length_of_its_column(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute("alter table jobs alter error type varchar(20)")
    await jobs.attach()
    await jobs.add(1)
    await jobs.settle("fail", await jobs.claim_one(), error="a sentence of more than twenty characters")
    row = await jobs.row(1)
    assert (row["status"], row["error"]) == ("failed", "a sentence of more t")


async def test_an_error_in_a_json_column_is_an_object(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute("alter table jobs alter error type jsonb using null")
    await jobs.attach()
    await jobs.add(1)
    await jobs.settle("fail", await jobs.claim_one(), error="no use")
    assert (await jobs.row(1))["error"]["message"] == "no use"


async def test_a_handler_can_neither_move_a_row_nor_choose_its_word(jobs: StoreTable) -> None:
    await jobs.add(1)
    await jobs.settle(
        "complete", await jobs.claim_one(), columns={"id": "job 2", "status": "queued", "url": "x"}
    )
    row = await jobs.row(1)
    assert (row["status"], row["url"]) == ("completed", "x")


async def test_columns_of_any_type_are_written(jobs: StoreTable, db: asyncpg.Connection) -> None:
    await db.execute(
        "create domain label as text not null default 'none' check (value <> '');"
        "alter table jobs add tags text[], add spent interval, add sum numeric(10, 2), add label label"
    )
    await jobs.attach()
    await jobs.add(1)
    columns = {"tags": ["a", 'b"c'], "spent": "90 seconds", "sum": 12.345, "result": [1, {"a": None}]}
    assert (await jobs.settle("complete", await jobs.claim_one(), columns=columns)).error is None
    row = await jobs.row(1)
    assert (row["tags"], row["spent"], row["sum"]) == (["a", 'b"c'], "00:01:30", 12.35)
    assert (row["result"], row["label"]) == ([1, {"a": None}], "none")


async def test_an_empty_batch_is_answered(jobs: StoreTable) -> None:
    for verb in VERBS:
        assert await jobs.store.settle(verb, []) == {}
