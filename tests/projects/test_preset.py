"""The preset beside tables that a studio has already."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from handlers.projects import AsyncProjects
from listener.database import migrate
from listener.kit.storage import LocalStorage
from listener.kit.tables.postgres import PostgresTables

OLDER = """
create table projects (
  id uuid primary key default gen_random_uuid(), user_id uuid, title text, status text default 'draft',
  created_at timestamptz default now()
);
create table scenes (
  id uuid primary key default gen_random_uuid(), project_id uuid references projects (id) on delete cascade,
  number int, title text, created_at timestamptz default now()
);
create table clips (
  id uuid primary key default gen_random_uuid(), project_id uuid references projects (id) on delete cascade,
  scene_id uuid references scenes (id) on delete set null, provider text, status text default 'draft',
  file_url text, order_index int, created_at timestamptz default now()
);
create table voices (
  id uuid primary key default gen_random_uuid(), user_id uuid, voice_name text, provider text, voice_id text,
  created_at timestamptz default now()
);
create table exports (
  id uuid primary key default gen_random_uuid(), project_id uuid references projects (id) on delete cascade,
  file_url text, created_at timestamptz default now()
);
create table audio_files (
  id uuid primary key default gen_random_uuid(), project_id uuid references projects (id) on delete cascade,
  file_url text, created_at timestamptz default now()
);
with p as (insert into projects (title) values ('old') returning id),
  s as (insert into scenes (project_id, number) select id, 1 from p),
  c as (insert into clips (project_id, file_url) select id, 'https://example.com/a.mp4' from p)
insert into exports (project_id, file_url) select id, 'https://example.com/film.mp4' from p;
"""


async def test_older_tables_get_what_they_lack(database: str, db: asyncpg.Connection, tmp_path: Path) -> None:
    await db.execute(migrate.preset("supabase_shim"))
    await db.execute(OLDER)
    for preset in ("projects", "clip_jobs", "projects", "clip_jobs"):
        await db.execute(migrate.preset(preset))
    projects = AsyncProjects(PostgresTables(database), LocalStorage(tmp_path, "http://127.0.0.1:1"))
    old = str(await db.fetchval("select id from projects"))
    loaded = await projects.load_project(old)
    assert (loaded["title"], loaded["settings"], len(loaded["scenes"])) == ("old", {}, 1)
    # Films that were made before are not made again.
    assert [row["status"] for row in loaded["exports"]] == ["completed"]
    assert await db.fetchval("select count(*) from listener.delivery") == 0
    assert (await projects.request_export(old))["status"] == "pending"
    assert len(await projects.sync_scenes(old, [{"title": "new"}])) == 1
    made = await projects.save_clip_record(old, None, None, "https://example.com/b.mp4")
    assert [row["id"] for row in (await projects.load_project(old))["clips"]][-1] == made["id"]
    await projects.close()
