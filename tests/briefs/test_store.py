"""Briefs as an application makes them: in Python, over both ways to the tables, and over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import AliasChoices

from handlers import briefs as room
from handlers.briefs import AsyncBriefs, BriefError, handler
from handlers.briefs import Briefs as BlockingBriefs
from handlers.briefs.settings import BriefSettings
from listener import App, Job
from listener.database import migrate
from listener.errors import ConfigError
from listener.kit import tables
from listener.kit.tables import TablesUnavailable
from listener.kit.tables.postgres import PostgresTables
from listener.kit.tables.rest import RestTables
from listener.testing import running_app
from tests.support.harness import until
from tests.support.standin.stack import running

from .conftest import USER, Briefs


@pytest.fixture(params=["postgres", "rest"])
async def store(request: pytest.FixtureRequest, briefs: Briefs, database: str) -> AsyncIterator[AsyncBriefs]:
    await briefs.db.execute("insert into auth.users (id) values ($1) on conflict do nothing", USER)
    if request.param == "postgres":
        made = AsyncBriefs(PostgresTables(database))
        yield made
        await made.close()
        return
    async with running(database) as project:
        made = AsyncBriefs(RestTables(project.url, project.secret_key))
        yield made
        await made.close()


async def test_a_brief_and_its_first_job_are_made_together(store: AsyncBriefs) -> None:
    made = await store.create_brief_with_job(
        user_id=USER,
        title=" Bees ",
        query="on bees",
        media_type="video",
        use_pipeline=True,
        metadata={"a": 1},
    )
    brief, job = made["brief"], made["job"]
    assert (brief["title"], brief["steps"][-1], brief["status"]) == ("Bees", "render", "pending")
    assert (job["brief_id"], job["type"], job["step"], job["metadata"]) == (
        brief["id"],
        "analysis",
        1,
        {"a": 1},
    )
    assert job["payload"]["query"] == "on bees"
    simple = await store.create_brief_with_job(user_id=USER, title="Only looked at", media_type="video")
    assert simple["brief"]["steps"] == ["analysis"]
    other = await store.create_brief_with_job(user_id=USER, title="A", steps=["storyboard", "render"])
    assert other["job"]["type"] == "storyboard"

    extra = await store.create_job(type="thumbnailing", brief_id=brief["id"], priority=5)
    assert [row["id"] for row in await store.by_brief(brief["id"])] == [job["id"], extra["id"]]
    assert [row["place"] for row in await store.pending(user_id=USER)] == [1, 2, 3, 4]
    assert (await store.pending())[0]["id"] == extra["id"]
    assert await store.active() == []
    assert {row["type"]: row["count"] for row in await store.stats()} == {
        "analysis": 2,
        "storyboard": 1,
        "thumbnailing": 1,
    }


SENSELESS: list[tuple[dict[str, Any], str]] = [
    ({"title": " "}, "title: String should have at least 1 character"),
    ({"user_id": "me"}, "user_id: Input should be a valid UUID"),
    ({"user_id": "6f1c0000-0000-4000-8000-00000000dead"}, "There is no user 6f1c"),
    ({"media_type": "smell"}, "media_type: Input should be 'video'"),
    ({"query": "x" * 50_001}, "query: String should have at most 50000 characters"),
    ({"query": "a\0b"}, "The database refused it"),
    ({"metadata": {"assets": ["data:" + "x" * 2_000_000]}}, "metadata: has 2.0 MB; the limit is 1 MB"),
    ({"steps": ["analysis", "dreaming"]}, "steps.1: Input should be 'analysis'"),
    ({"steps": ["analysis", "analysis"]}, "a pipeline must not come back to a step"),
]


async def test_what_makes_no_sense_is_refused_as_a_whole(store: AsyncBriefs, briefs: Briefs) -> None:
    for fields, sentence in SENSELESS:
        with pytest.raises(BriefError, match=sentence):
            await store.create_brief_with_job(**{"user_id": USER, "title": "A", **fields})
    with pytest.raises(BriefError, match="There is no brief"):
        await store.create_job(type="analysis", brief_id="6f1c0000-0000-4000-8000-00000000dead")
    assert await briefs.db.fetchval("select (select count(*) from briefs) + (select count(*) from jobs)") == 0


def test_programs_without_an_event_loop(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setattr("listener.kit.tables.api._current", None)
    with BlockingBriefs() as store:
        with pytest.raises(BriefError, match="type: String should match"):
            store.create_job(type="no type")
        # Nobody has installed the preset.
        with pytest.raises(tables.TablesError, match="jobs"):
            store.create_job(type="analysis")


async def test_over_http_users_see_and_make_only_their_own(
    database: str, tmp_path: Path, stranger: str
) -> None:
    async with (
        running(database) as project,
        running_app(
            room.app, tmp_path, presets=("supabase_shim", "briefs"), database_url=database,
            supabase_url=project.url, supabase_service_key=project.secret_key,
        ) as made,
        httpx.AsyncClient(
            base_url=made.address, trust_env=False, headers={"Authorization": f"Bearer {project.secret_key}"},
        ) as service,
    ):  # fmt: skip
        await made.connection.execute("insert into auth.users (id) values ($1), ($2)", USER, stranger)
        await made.connection.execute("select listener.pause(name) from listener.queue")

        async def ask(user: str, method: str, path: str, **body: Any) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {project.user_token(user)}"}
            answer = await service.request(method, path, headers=headers, json=body or None)
            return answer.status_code, answer.json()

        status, created = await ask(USER, "POST", "/api/briefs", user_id=USER, title="Bees")
        assert (status, created["job"]["type"]) == (201, "analysis")
        id = created["brief"]["id"]  # noqa: A001
        refused = await ask(stranger, "POST", "/api/briefs", user_id=USER, title="Not mine")
        assert refused == (
            403,
            {"error": "user_id is another user's; a signed-in user can create briefs only for themselves."},
        )

        for user, count in ((USER, 1), (stranger, 0)):
            status, answer = await ask(user, "GET", "/api/jobs?action=pending")
            assert (status, len(answer["jobs"])) == (200, count)
        assert (await ask(USER, "GET", f"/api/jobs?action=by_brief&brief_id={id}"))[0] == 200
        hidden = await ask(stranger, "GET", f"/api/jobs?action=by_brief&brief_id={id}")
        assert hidden == (404, {"error": f"There is no brief {id}."})
        assert (await ask(USER, "GET", "/api/jobs?action=stats"))[0] == 403

        stats = (await service.get("/api/jobs?action=stats")).json()["stats"]
        assert [(row["type"], row["status"], row["count"]) for row in stats] == [("analysis", "pending", 1)]
        await made.connection.fetch("select * from claim_job('old')")
        (active,) = (await service.get("/api/jobs?action=active")).json()["jobs"]
        assert (active["worker_id"], active["title"], active["user_id"]) == ("old", "Bees", USER)

        for path, sentence in {
            "/api/jobs": "action: Field required.",
            "/api/jobs?action=all": "action: Input should be 'pending'",
            "/api/jobs?action=by_brief": "by_brief needs a brief_id.",
        }.items():
            answer = await service.get(path)
            assert answer.status_code == 422
            assert answer.json()["error"].startswith(sentence)
        answer = await service.post("/api/briefs", json={"user_id": USER, "title": "A", "colour": "red"})
        assert (answer.status_code, answer.json()) == (
            422,
            {"error": "colour: Extra inputs are not permitted."},
        )
        unknown = "6f1c0000-0000-4000-8000-00000000dead"
        answer = await service.post("/api/briefs", json={"user_id": unknown, "title": "A"})
        assert (answer.status_code, answer.json()) == (422, {"error": f"There is no user {unknown}."})


async def test_a_service_without_a_database_says_so(database: str, tmp_path: Path) -> None:
    async with (
        running_app(room.app, tmp_path, presets=("supabase_shim", "briefs"), database_url=database) as made,
        httpx.AsyncClient(base_url=made.address, trust_env=False) as service,
    ):
        tables.use(PostgresTables("postgresql://nobody@127.0.0.1:1/none"))
        assert (await service.get("/api/jobs?action=pending")).status_code == 503
        with pytest.raises(TablesUnavailable):
            await AsyncBriefs().stats()


async def test_a_large_result_fails_its_step_alone(database: str, tmp_path: Path) -> None:
    app = App()

    @app.handler("jobs/analysis", concurrency=4)
    async def analysis(job: Job) -> dict[str, object]:
        return {"result": "x" * int(job.row["metadata"]["size"])}

    async with running_app(app, tmp_path, presets=("supabase_shim", "briefs"), database_url=database) as made:
        db: asyncpg.Connection = made.connection
        sizes = [10 * 1024**2, 1000, 1000]
        await db.execute(
            "insert into jobs (type, metadata)"
            " select 'analysis', jsonb_build_object('size', s) from unnest($1::int[]) s",
            sizes,
        )
        await until(lambda: db.fetchval("select bool_and(status in ('completed', 'failed')) from jobs"))
        rows = await db.fetch("select status, error, metadata from jobs order by (metadata->>'size')::int")
        assert [row["status"] for row in rows] == ["completed", "completed", "failed"]
        assert "the result has 10.0 MB, but a row may keep 1 MB" in rows[2]["error"]


async def test_the_service_trims_what_is_old(store: AsyncBriefs, briefs: Briefs, database: str) -> None:
    tables.use(PostgresTables(database))
    brief = await briefs.create("text", steps=["analysis"])
    await briefs.db.execute("update jobs set status = 'failed'")
    await handler.trim()
    assert await store.by_brief(brief) != []
    await briefs.db.execute("update briefs set completed_at = now() - interval '31 days'")
    await handler.trim()
    assert await briefs.db.fetchval("select count(*) from jobs") == 0
    await briefs.db.execute(migrate.preset("briefs_remove"))
    await handler.trim()
    await tables.current().close()


async def test_cancelling_at_any_moment_leaves_no_brief_half_done(database: str, tmp_path: Path) -> None:
    app = App()
    for type in ("analysis", "text_analysis", "render"):  # noqa: A001 - the column's name

        @app.handler(f"jobs/{type}", concurrency=4)
        async def run(job: Job) -> dict[str, object]:
            return {"result": 1}

    async with running_app(app, tmp_path, presets=("supabase_shim", "briefs"), database_url=database) as made:
        db, briefs = made.connection, Briefs(made.connection)
        ids = [await briefs.create() for _ in range(40)]
        for id in ids[::2]:  # noqa: A001
            await db.execute(
                "update briefs set status = 'cancelled' where id = $1 and status <> 'completed'", id
            )
        await until(lambda: db.fetchval("select bool_and(status in ('completed', 'cancelled')) from briefs"))
        for id in ids:  # noqa: A001
            status, steps = (await briefs.brief(id))["status"], await briefs.steps(id)
            words = [word for _, word in steps]
            if status == "completed":
                assert words == ["completed"] * 3
            else:
                assert words[-1] == "cancelled", words
                assert set(words[:-1]) <= {"completed"}
        assert await db.fetchval("select count(*) from listener.delivery") == 0
        assert not await db.fetchval(
            "select true from listener.attempt where outcome in ('failed', 'retried')"
        )


async def test_two_services_and_an_older_worker_share_the_table(database: str, tmp_path: Path) -> None:
    done: list[tuple[str, str]] = []

    def app_of(name: str) -> App:
        app = App()
        for type in ("analysis", "render"):  # noqa: A001 - the column's name

            @app.handler(f"jobs/{type}", concurrency=3)
            async def run(job: Job) -> dict[str, object]:
                done.append((name, job.key))
                return {"result": name}

        return app

    async with (
        running_app(
            app_of("a"), tmp_path, presets=("supabase_shim", "briefs"), database_url=database
        ) as made,
        running_app(app_of("b"), tmp_path, database_url=database),
    ):
        db = made.connection
        await db.execute("insert into jobs (type) select (array['analysis', 'render', 'dreams'])[1 + n % 3]"
                         " from generate_series(1, 60) n")  # fmt: skip
        while job := await db.fetchrow("select * from claim_job('old')"):
            done.append(("old", str(job["id"])))
            await db.execute("select complete_job($1, $2)", job["id"], json.dumps("old"))
        await until(lambda: db.fetchval("select bool_and(status = 'completed') from jobs"))
        assert len(done) == len({key for _, key in done}) == 60, "each job was begun once"
        rows = await db.fetch("select id, result from jobs")
        assert {(json.loads(row["result"]), str(row["id"])) for row in rows} == set(done)
        # The first worker that asks runs what the older worker gives back.
        await db.execute("insert into jobs (type, status) values ('render', 'processing')")
        failed = await db.fetchval(
            "select id from fail_job((select id from jobs where status = 'processing'), 'no')"
        )
        await until(lambda: db.fetchval("select status = 'completed' from jobs where id = $1", failed))
        # A type that nobody here knows is no backlog of this service.
        await db.execute("insert into jobs (type) values ('dreams')")
        assert await db.fetchval("select count(*) from listener.delivery") == 0


def test_the_page_lists_the_settings() -> None:
    page = (Path(__file__).parents[2] / "docs/briefs.md").read_text()
    for field in BriefSettings.model_fields.values():
        assert isinstance(field.validation_alias, AliasChoices)
        default = f"{field.default:g}" if isinstance(field.default, float) else field.default
        assert f"| `{field.validation_alias.choices[0]}` | `{default}` | {field.description} |" in page


@pytest.mark.parametrize("text", ["2", "0,60,3", "two,60,3", "2,60,3,4"])
def test_a_malformed_limit_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIEFS_RENDER", text)
    with pytest.raises(ConfigError, match="BRIEFS_RENDER"):
        BriefSettings.load()
    monkeypatch.setenv("BRIEFS_RENDER", "4,90.5,1")
    assert BriefSettings.load().render == (4, 90.5, 1)
