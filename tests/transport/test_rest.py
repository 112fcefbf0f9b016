"""The REST API fails in more ways than a connection does: each is reported as what it is, and none loses a job."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from listener.database.store import Store
from listener.database.transport_rest import RestTransport
from listener.errors import DatabaseError, DatabaseUnavailable, SchemaError
from tests.support.standin.stack import Stack, running
from tests.support.table import StoreTable

CLAIM = "POST /rest/v1/rpc/listener_claim"
STATS = "POST /rest/v1/rpc/listener_stats"


async def test_a_claim_whose_answer_is_lost_is_asked_once_and_given_back_by_the_heartbeat(
    jobs: StoreTable, db: asyncpg.Connection, project: Stack
) -> None:
    await jobs.add(1)
    project.faults.add(CLAIM, cut="after")
    with pytest.raises(DatabaseUnavailable):
        await jobs.claim()
    assert project.requests.count(CLAIM) == 1
    assert await jobs.state(1) == "running"
    assert await jobs.store.heartbeat("w1", []) == []
    assert await jobs.state(1) == "running", "an answer may still be on its way for two beats"
    await db.execute("update listener.delivery set claimed_at = claimed_at - interval '11 seconds'")
    await jobs.store.heartbeat("w1", [])
    again = await jobs.claim_one()
    assert (again.attempt, again.key) == (1, "job 1")


@pytest.mark.parametrize("cut", ["before", "after", "half"])
async def test_an_outcome_whose_answer_is_lost_may_be_said_again(
    jobs: StoreTable, project: Stack, cut: Any
) -> None:
    await jobs.add(1)
    job = await jobs.claim_one()
    project.faults.add("POST *_complete", cut=cut)
    with pytest.raises(DatabaseUnavailable):
        await jobs.settle("complete", job)
    await jobs.settle("complete", job)
    assert (await jobs.word(1), await jobs.history(1)) == ("completed", ["completed"])


async def test_what_can_be_said_twice_is_said_again_soon(store: Store, project: Stack) -> None:
    project.faults.add(STATS, status=503)
    project.faults.add(STATS, cut="after")
    assert await store.stats() is not None
    assert project.requests.count(STATS) == 3
    project.faults.add(STATS, status=503, times=9)
    with pytest.raises(DatabaseUnavailable):
        await store.stats()
    assert project.requests.count(STATS) == 6


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            429,
            {"message": "API rate limit exceeded"},
            r"could not answer now \(429 API rate limit exceeded\)",
        ),
        (
            500,
            {"code": "57014", "message": "canceling statement due to statement timeout"},
            "statement timeout",
        ),
        (502, None, r"could not answer now \(502 Bad Gateway\)"),
        (503, {"code": "PGRST002", "message": "Could not query the database"}, "503 Could not query"),
        (540, None, r"could not answer now \(540"),
        (404, None, r"could not answer now \(404 Not Found\)"),
        (200, None, "SUPABASE_URL is not the address"),
    ],
)
async def test_what_may_pass_is_an_unavailable_database(
    store: Store, project: Stack, status: int, body: dict[str, str] | None, says: str
) -> None:
    page = b"<html>a page</html>" if body is None else json.dumps(body).encode()
    project.faults.add(CLAIM, status=status, body=page, headers={} if body else {"content-type": "text/html"})
    with pytest.raises(DatabaseUnavailable, match=says):
        await store.claim("w1", {"jobs": 1})


@pytest.mark.parametrize(
    ("status", "body", "sqlstate", "hint"),
    [
        (406, {"code": "PGRST106", "message": "Invalid schema: public"}, "", "Expose the schema in the API settings"),
        (400, {"code": "P0001", "message": "no", "hint": "do"}, "P0001", "do"),
        (409, {"code": "23505", "message": "duplicate key"}, "23505", None),
        (500, {"code": "54001", "message": "too complex"}, "54001", None),
        (413, None, "", None),
    ],
)  # fmt: skip
async def test_what_was_refused_is_not_tried_again(
    store: Store,
    project: Stack,
    status: int,
    body: dict[str, str] | None,
    sqlstate: str,
    hint: str | None,
) -> None:
    project.faults.add(STATS, status=status, body=json.dumps(body).encode())
    with pytest.raises(DatabaseError) as refused:
        await store.stats()
    assert refused.value.sqlstate == sqlstate
    assert (refused.value.hint or "").startswith(hint or "")
    assert project.requests.count(STATS) == 1


async def test_a_refusal_has_the_databases_own_words(store: Store) -> None:
    with pytest.raises(DatabaseError, match="there is no queue") as refused:
        await store.requeue("nowhere", ["1"])
    assert (refused.value.sqlstate, refused.value.hint) != ("", None)


async def test_an_api_that_says_nothing_is_given_up(project: Stack) -> None:
    hasty = RestTransport(project.url, project.secret_key, timeout=0.2)
    project.faults.add(CLAIM, delay=30)
    with pytest.raises(DatabaseUnavailable, match=r"did not answer in 0\.2 s"):
        await Store(hasty).claim("w1", {})
    await hasty.close()


async def test_an_api_that_is_away_is_an_unavailable_database(store: Store, project: Stack) -> None:
    await store.check_schema()
    await project.stop()
    with pytest.raises(DatabaseUnavailable):
        await store.check_schema()
    await project.start()
    await store.check_schema()


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), "\ud800"])
async def test_a_value_that_is_no_json_fails_only_its_call(
    store: Store, project: Stack, value: object
) -> None:
    with pytest.raises(DatabaseError, match="can't be written as JSON"):
        await store.settle("checkpoint", [{"delivery": 1, "fence": 1, "value": value}])
    assert project.requests == []


async def test_durations_are_exact(jobs: StoreTable) -> None:
    await jobs.attach(backoff=timedelta(days=3, microseconds=1))
    assert await jobs.db.fetchval("select backoff from listener.queue") == timedelta(days=3, microseconds=1)


async def test_a_project_without_the_schema_says_what_to_do(bare_database: str) -> None:
    async with running(bare_database) as project:
        transport = RestTransport(project.url, project.secret_key)
        with pytest.raises(SchemaError, match=r"no schema listener yet; run `listener migrate` first"):
            await Store(transport).check_schema()
        await transport.close()


# Keys.


@pytest.mark.parametrize("kind", ["unknown", "publishable", "anon"])
async def test_a_key_that_will_not_do_is_named_by_its_setting(project: Stack, kind: str) -> None:
    keys = {
        "unknown": "sb_secret_of-another-project", "publishable": project.publishable_key,
        "anon": project.legacy_key("anon"),
    }  # fmt: skip
    transport = RestTransport(project.url, keys[kind])
    with pytest.raises((DatabaseUnavailable, DatabaseError)) as refused:
        await Store(transport).check_schema()
    said = f"{refused.value} {getattr(refused.value, 'hint', '')}"
    assert "SUPABASE_SERVICE_KEY must hold the project's secret or service_role key" in said
    assert keys[kind] not in said
    await transport.close()


async def test_a_legacy_service_role_key_will_do(project: Stack) -> None:
    transport = RestTransport(project.url, project.legacy_key("service_role"))
    await Store(transport).check_schema()
    await transport.close()


async def test_a_key_that_was_changed_is_read_again(jobs: StoreTable, project: Stack, workdir: Path) -> None:
    await jobs.add(1)
    project.rotate(workdir)
    assert (await jobs.claim_one()).key == "job 1"
    assert project.requests.count(CLAIM) == 1


async def test_the_key_is_never_logged(
    store: Store, project: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await store.check_schema()
    project.faults.add(CLAIM, cut="after")
    project.faults.add(CLAIM, status=401, body=b'{"message":"Invalid API key"}')
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable) as refused:
            await store.claim("w1", {"jobs": 1})
        assert project.secret_key not in str(refused.value)
    assert project.secret_key not in caplog.text
