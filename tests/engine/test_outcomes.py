"""Each return value and exception of a handler becomes the right outcome of its row."""

from __future__ import annotations

import asyncio
import dataclasses
import decimal
import enum
import errno
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, TypedDict

import anyio
import pytest

from listener import App, ConfigError, Fail, Job, Retry, Snooze
from listener.config import Settings
from listener.engine.engine import Engine
from tests.support.harness import Table, app_of, serving, until


async def end(jobs: Table, database: str, function: Any, **options: Any) -> Any:
    """Run one job to its end, with a second one behind it that shows that the service goes on; return its row."""

    async def handle(job: Job) -> Any:
        return "fine" if job.key == "next" else await function(job)

    async with serving(app_of(handle, **options), database):
        await jobs.add("a")
        row = await jobs.becomes("a", "completed", "failed")
        await jobs.add("next")
        await jobs.becomes("next", "completed")
    return row


async def test_what_an_async_handler_returns_is_written_with_the_done_word(
    jobs: Table, database: str
) -> None:
    async def handle(job: Job) -> dict[str, Any]:
        assert (job.queue, job.key, job.attempt, job.max_attempts) == ("jobs", "a", 1, 3)
        assert job.row["status"] == "processing"
        return {"url": f"https://example.com/{job.key}", "result": {"frames": 3}}

    row = await end(jobs, database, handle)
    assert (row["status"], row["progress"]) == ("completed", 100)
    assert (row["url"], row["result"]) == ("https://example.com/a", '{"frames": 3}')


async def test_a_plain_handler_runs_in_a_thread(jobs: Table, database: str) -> None:
    def handle(job: Job) -> dict[str, str]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return {"url": "here"}

    async with serving(app_of(handle), database):
        await jobs.add("a")
        assert (await jobs.becomes("a", "completed"))["url"] == "here"


async def test_a_value_that_is_no_mapping_goes_into_the_result_column(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> list[int]:
        return [1, 2]

    assert (await end(jobs, database, handle))["result"] == "[1, 2]"


async def test_without_a_result_column_it_fails_the_job(jobs: Table, database: str) -> None:
    await jobs.attach(result="")
    async with serving(app_of(lambda _job: 42), database):
        await jobs.add("a")
        row = await jobs.becomes("a", "failed")
    assert row["error"] == (
        "the handler's result can't be stored: a value of type int needs a result column, and the queue has none; "
        "return a dict of columns"
    )


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Film:
    frames: int


async def test_values_of_everyday_types_find_their_form(jobs: Table, database: str) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)

    async def handle(job: Job) -> dict[str, Any]:
        everything = [
            Colour.RED,
            Film(3),
            decimal.Decimal("1.50"),
            uuid.UUID(int=1),
            PurePosixPath("/a"),
            {1},
            (2,),
        ]
        return {
            "result": everything,
            "run_at": moment,
            "url": "nul \x00, half a pair \ud800",
            "priority": None,
        }

    row = await end(jobs, database, handle)
    assert (
        row["result"]
        == '["red", {"frames": 3}, "1.50", "00000000-0000-0000-0000-000000000001", "/a", [1], [2]]'
    )
    assert row["run_at"] == moment
    assert row["url"] == "nul \ufffd, half a pair ?"


class Sulking(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        raise OSError("not today")

    def __len__(self) -> int:
        return 1


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"frames": 3}, "no column frames"),
        ({"priority": "high"}, "invalid input syntax"),
        ({"result": object()}, "a object has no form in JSON"),
        ({"result": 10**5000}, "the database refused the outcome"),
        ({"result": deep(2000)}, "recursion"),
        (Sulking(), "not today"),
        ({"id": "next"}, ""),
        ({"status": "queued"}, None),
    ],
    ids=["unknown column", "type", "object", "huge", "deep", "broken mapping", "key", "status"],
)
async def test_what_can_not_be_stored_fails_only_its_own_job(
    jobs: Table, database: str, result: Any, why: str | None
) -> None:
    async def handle(job: Job) -> Any:
        return result

    row = await end(jobs, database, handle)
    if why is None:
        assert row["status"] == "completed", "the done word wins over a column of the same name"
    elif why:
        assert row["status"] == "failed"
        assert why in row["error"]


async def test_declared_columns_that_the_table_lacks_are_refused_at_start(jobs: Table, database: str) -> None:
    class Film(TypedDict):
        url: str
        frames: int

    app = App()

    async def handle(job: Job) -> Film:
        return {"url": "", "frames": 1}

    handle.__annotations__["return"] = Film
    app.handler("jobs")(handle)
    with pytest.raises(
        ConfigError, match=r"returns frames, but public\.jobs has no such column; its columns are id, status"
    ):
        await Engine(
            app, Settings.load(database_url=database, enable_health_check=False), signals=False
        ).run()


async def test_fail_is_permanent(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> None:
        raise Fail("the file \x00 is no film; https://host/f?token=abc123 was the link")

    row = await end(jobs, database, handle)
    assert row["error"] == "the file \ufffd is no film; https://host/f?token=[hidden] was the link"
    assert await jobs.history("a") == ["failed"]


async def test_any_other_exception_is_retried_until_the_attempts_are_spent(
    jobs: Table, database: str
) -> None:
    attempts = []

    async def handle(job: Job) -> None:
        attempts.append(job.attempt)
        raise ValueError("not \ud800 today")

    row = await end(jobs, database, handle)
    assert attempts == [1, 2, 3]
    assert await jobs.history("a") == ["retried", "retried", "failed"]
    assert row["error"] == "ValueError: not ? today"


async def test_retry_may_say_when(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> None:
        if job.attempt == 1:
            raise Retry("busy", delay=3600)

    async with serving(app_of(handle), database) as service:
        await jobs.add("a")
        assert 3590 < await jobs.scheduled("a") <= 3600
        assert (await jobs.row("a"))["status"] == "queued"
        await until(lambda: service.metric("job_retries_total", queue="jobs", reason="asked") == 1)


async def test_what_a_job_says_before_a_snooze_is_shown_meanwhile(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> None:
        job.progress(20, "asking a friend")
        raise Snooze(3600)

    async with serving(app_of(handle), database):
        await jobs.add("a")
        await jobs.scheduled("a")
        row = await jobs.row("a")
        assert (row["status"], row["progress"], row["message"]) == ("processing", 20, "asking a friend")


async def test_a_snooze_holds_no_slot_and_counts_no_attempt(jobs: Table, database: str) -> None:
    seen = []

    async def handle(job: Job) -> None:
        if job.key == "other":
            return
        seen.append((job.attempt, job.snoozes, round(job.waited, 3)))
        if job.snoozes < 3:
            raise Snooze(0.1)

    async with serving(app_of(handle), database):
        await jobs.add("a")
        await jobs.add("other")
        await jobs.becomes("other", "completed")
        await jobs.becomes("a", "completed")
    assert [(attempt, snoozes) for attempt, snoozes, _ in seen] == [(1, 0), (1, 1), (1, 2), (1, 3)]
    waited = [waited for _, _, waited in seen]
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(waited))
    assert await jobs.history("a") == ["completed"]


async def test_a_handler_may_return_its_whole_row(jobs: Table, database: str) -> None:
    await jobs.db.execute("alter table jobs add column number int generated always as identity")

    async def handle(job: Job) -> dict[str, Any]:
        return {**job.row, "url": "changed"}

    row = await end(jobs, database, handle)
    assert (row["status"], row["url"], row["error"]) == ("completed", "changed", None)


async def test_a_lack_of_descriptors_counts_no_attempt(
    jobs: Table, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.engine.executor.DESCRIPTORS_DELAY_SECONDS", 0.3)
    attempts = []

    async def handle(job: Job) -> None:
        attempts.append(job.attempt)
        if len(attempts) < 5:
            try:
                raise OSError(errno.EMFILE, "Too many open files")  # noqa: TRY301
            except OSError as error:
                raise Retry("the program could not be started") from error

    async with serving(app_of(handle), database):
        await jobs.add("a")
        await jobs.becomes("a", "completed")
    assert attempts == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("delay", [float("inf"), 1e14, 1e300])
async def test_a_delay_beyond_all_calendars_is_a_year(jobs: Table, database: str, delay: float) -> None:
    async def handle(job: Job) -> None:
        raise Snooze(delay)

    async with serving(app_of(handle), database):
        await jobs.add("a")
        assert 364 * 86400 < await jobs.scheduled("a") <= 365 * 86400


async def test_a_group_of_one_means_what_its_error_says(jobs: Table, database: str) -> None:
    async def handle(job: Job) -> None:
        async def give_up() -> None:
            raise Fail("no sound")

        async with anyio.create_task_group() as group:
            group.start_soon(give_up)
            await anyio.sleep_forever()

    row = await end(jobs, database, handle)
    assert row["error"] == "no sound"
    assert await jobs.history("a") == ["failed"]


class Panic(BaseException):
    """As extensions written in other languages raise it."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("says nothing")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Panic("in a compiled library"), "Panic: in a compiled library"),
        (asyncio.CancelledError(), "CancelledError"),
        (TimeoutError(), "TimeoutError"),
        (Mute(), "Mute: (error text unavailable)"),
        (StopIteration(), "StopIteration"),
        (RuntimeError("x" * 10_000), "RuntimeError: xxx"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_is_raised_the_service_goes_on(
    jobs: Table, database: str, raised: BaseException, error: str
) -> None:
    async def handle(job: Job) -> None:
        try:
            raise raised
        except StopIteration as stop:
            # A coroutine can't raise it as it is.
            raise RuntimeError("StopIteration") from stop

    await jobs.attach(max_attempts=1)
    row = await end(jobs, database, handle)
    assert error in row["error"]
    assert len(row["error"]) <= 4000


async def test_a_plain_handler_may_exit_too(jobs: Table, database: str) -> None:
    def handle(job: Job) -> None:
        raise SystemExit("enough")

    await jobs.attach(max_attempts=1)
    async with serving(app_of(handle), database):
        await jobs.add("a")
        assert (await jobs.becomes("a", "failed"))["error"] == "SystemExit: enough"
