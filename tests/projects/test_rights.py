"""Nobody touches what is another's; what belongs to nobody is there for all who are not signed in, up to a number."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from listener.database import migrate
from tests.support.standin import storage

Acting = Callable[[str | None], AbstractAsyncContextManager[asyncpg.Connection]]

ME, YOU = str(uuid4()), str(uuid4())
CHILDREN = {
    "scenes": "(project_id) values ($1)",
    "clips": "(project_id) values ($1)",
    "exports": "(project_id, file_url) values ($1, 'https://example.com/a.mp4')",
    "audio_files": "(project_id) values ($1)",
}


@pytest.fixture
async def acting(superuser: asyncpg.Connection, database: str, db: asyncpg.Connection) -> Acting:
    """Opens a transaction of a browser: of a signed-in user, or of one who isn't. The export preset is there, too."""
    await db.execute(migrate.preset("supabase_shim"))
    await superuser.execute(storage.SCHEMA)
    # On Supabase the owner of the tables may make policies there, and buckets.
    await superuser.execute(
        "grant usage on schema storage to app;"
        " alter table storage.objects owner to app; alter table storage.buckets owner to app"
    )
    for preset in ("export_jobs", "projects", "export_jobs", "projects"):
        await db.execute(migrate.preset(preset))
    await db.execute("insert into auth.users (id) values ($1), ($2)", ME, YOU)

    @asynccontextmanager
    async def acting(user: str | None) -> AsyncIterator[asyncpg.Connection]:
        role = "authenticated" if user else "anon"
        claims = {"role": role} | ({"sub": user} if user else {})
        async with db.transaction():
            await db.execute("select set_config('request.jwt.claims', $1, true)", json.dumps(claims))
            await db.execute(f"set local role {role}")
            yield db

    return acting


async def project_of(acting: Acting, user: str | None) -> str:
    """A project with one row in every table, made by its user."""
    async with acting(user) as browser:
        project = await browser.fetchval("insert into projects (title) values ('t') returning id")
        for table, row in CHILDREN.items():
            await browser.execute(f"insert into {table} {row}", project)
        await browser.execute("insert into voices (name) values ('v')")
    return str(project)


async def refuses(acting: Acting, user: str | None, sql: str, *values: Any) -> bool:
    """Whether somebody may not do it, or changes nothing by it."""
    try:
        async with acting(user) as browser:
            return str(await browser.execute(sql, *values)).endswith(" 0")
    except asyncpg.PostgresError as error:
        return error.sqlstate in {"42501", "P0002", "23514"}


@pytest.mark.parametrize("other", [YOU, None], ids=["another user", "nobody"])
async def test_one_never_touches_what_is_anothers(acting: Acting, other: str | None) -> None:
    project = await project_of(acting, ME)
    async with acting(ME) as browser:
        for table in ("projects", "voices", *CHILDREN):
            assert await browser.fetchval(f"select count(*) from {table}") == 1
        assert str(await browser.fetchval("select user_id from projects")) == ME
    async with acting(other) as browser:
        for table in ("projects", "voices", *CHILDREN):
            assert await browser.fetchval(f"select count(*) from {table}") == 0
    for table, row in CHILDREN.items():
        assert await refuses(acting, other, f"insert into {table} {row}", project)
        assert await refuses(acting, other, f"update {table} set created_at = now()")
        assert await refuses(acting, other, f"delete from {table}")
    assert await refuses(acting, other, "update projects set title = 'mine'")
    assert await refuses(acting, other, "delete from projects")
    assert await refuses(acting, other, "insert into projects (user_id) values ($1)", ME)
    assert await refuses(acting, other, "select sync_scenes($1, '[]')", project)
    async with acting(other) as browser:
        assert await browser.fetch("select * from reorder_clips($1, '{}')", project) == []
    # Nor is one's own given away, or moved into another's project.
    theirs = await project_of(acting, other)
    assert await refuses(acting, ME, "update projects set user_id = $1", other)
    assert await refuses(acting, ME, "update clips set project_id = $1", theirs)


async def test_what_is_nobodys_is_seen_by_all_who_are_not_signed_in(
    acting: Acting, db: asyncpg.Connection
) -> None:
    project = await project_of(acting, None)
    assert await refuses(acting, ME, "update projects set title = 'mine'")
    async with acting(None) as browser:
        await browser.execute("update clips set status = 'seen'")
        scenes = await browser.fetch('select * from sync_scenes($1, \'[{"title": "a"}]\')', project)
        assert [row["title"] for row in scenes] == ["a"]
    # One setting ends it.
    assert await refuses(acting, None, "update anonymous_limits set projects = 1000")
    await db.execute("update anonymous_limits set projects = 0")
    async with acting(None) as browser:
        for table in ("projects", "voices", *CHILDREN):
            assert await browser.fetchval(f"select count(*) from {table}") == 0
    assert await refuses(acting, None, "insert into projects default values")


async def test_there_is_little_of_it(acting: Acting, db: asyncpg.Connection) -> None:
    await db.execute("update anonymous_limits set projects = 2, rows_of_each = 3")
    first, _ = [await project_of(acting, None) for _ in range(2)]
    for table in ("projects (title)", "voices (name)"):
        with pytest.raises(asyncpg.CheckViolationError, match=r"at most 2 \w+ may exist without a user"):
            async with acting(None) as browser:
                await browser.execute(f"insert into {table} values ('one more')")
    with pytest.raises(asyncpg.CheckViolationError, match="at most 3 clips may exist without a user"):
        async with acting(None) as browser:
            await browser.execute(
                "insert into clips (project_id) select $1 from generate_series(1, 3)", first
            )
    mine = await project_of(acting, ME)
    async with acting(ME) as browser:
        await browser.execute("insert into clips (project_id) select $1 from generate_series(1, 9)", mine)


async def test_files_follow_the_owner_of_their_project(acting: Acting, db: asyncpg.Connection) -> None:
    store = "insert into storage.objects (bucket_id, name) values ($1, $2)"
    mine, nobodys = await project_of(acting, ME), await project_of(acting, None)
    async with acting(ME) as browser:
        for bucket, part in (
            ("clips", "clips"),
            ("audio", "audio"),
            ("exports", "final"),
            ("thumbnails", "thumbnails"),
        ):
            await browser.execute(store, bucket, f"projects/{mine}/{part}/a")
        # The folders of users, which the preset of exports knows, are beside them in one of the buckets.
        await browser.execute(store, "exports", f"{ME}/job/film.mp4")
    for user in (YOU, None):
        async with acting(user) as browser:
            assert await browser.fetchval("select count(*) from storage.objects") == 0
        for name in (f"projects/{mine}/clips/b", f"{ME}/b", "projects/b", f"projects/{uuid4()}/clips/b", "b"):
            assert await refuses(acting, user, store, "exports", name)
        assert await refuses(acting, user, "update storage.objects set name = name || '2'")
    await db.execute("update anonymous_limits set rows_of_each = 2")
    async with acting(None) as browser:
        for name in ("a", "b"):
            await browser.execute(store, "clips", f"projects/{nobodys}/clips/{name}")
    assert await refuses(acting, None, store, "clips", f"projects/{nobodys}/clips/c")
    async with acting(ME) as browser:
        assert await browser.fetchval("select count(*) from storage.objects") == 5
        await browser.execute(
            "update storage.objects set metadata = '{}' where name like $1", f"projects/{mine}/%"
        )


async def test_the_preset_keeps_what_was_set(acting: Acting, db: asyncpg.Connection) -> None:
    await db.execute("update anonymous_limits set projects = 7")
    await db.execute(migrate.preset("projects"))
    assert await db.fetchval("select projects from anonymous_limits") == 7
