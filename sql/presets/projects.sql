-- Preset: projects of a video studio (tables projects, scenes, clips, voices, exports, audio_files; buckets clips,
-- audio, exports, thumbnails).
-- Run it as the owner of the schema, in psql or the SQL editor; running it again changes nothing.

create table if not exists public.projects (
  id uuid primary key default gen_random_uuid(),
  user_id uuid default auth.uid() references auth.users (id) on delete cascade,
  title text not null default 'Untitled',
  script text not null default '',
  settings jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table if not exists public.scenes (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  order_index integer not null default 0,
  title text,
  description text,
  prompt text,
  duration numeric,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create unique index if not exists scenes_project_id_id_idx on public.scenes (project_id, id);

-- A key names a file in the bucket of its table, in the project's folder. The service fetches the file by its key
-- when it renders the project, because the signed address expires after some days.
create table if not exists public.clips (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  scene_id uuid,
  provider text,
  prompt text,
  status text not null default 'ready',
  file_url text,
  storage_key text check (storage_key like 'projects/' || project_id || '/clips/%'),
  thumbnail_url text,
  thumbnail_key text check (thumbnail_key like 'projects/' || project_id || '/thumbnails/%'),
  order_index integer not null default 0,
  start_trim numeric not null default 0 check (start_trim >= 0),
  end_trim numeric,
  duration numeric,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (end_trim > start_trim),
  foreign key (project_id, scene_id) references public.scenes (project_id, id) on delete set null (scene_id)
);

create table if not exists public.voices (
  id uuid primary key default gen_random_uuid(),
  user_id uuid default auth.uid() references auth.users (id) on delete cascade,
  name text not null,
  provider text,
  voice_id text,
  settings jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table if not exists public.exports (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  status text not null default 'pending'
    check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  progress integer not null default 0,
  message text,
  file_url text,
  storage_key text check (storage_key like 'projects/' || project_id || '/final/%'),
  resolution text,
  duration numeric,
  error text,
  created_at timestamptz not null default now(),
  completed_at timestamptz,
  updated_at timestamptz not null default now()
);

create table if not exists public.audio_files (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  name text not null default '',
  file_url text,
  storage_key text check (storage_key like 'projects/' || project_id || '/audio/%'),
  start_time numeric not null default 0 check (start_time >= 0),
  volume numeric not null default 1 check (volume between 0 and 4),
  duration numeric,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Existing tables get the columns that they lack. Their rows with a film count as completed.
alter table public.projects
  alter column user_id set default auth.uid(),
  add column if not exists script text,
  add column if not exists settings jsonb not null default '{}',
  add column if not exists updated_at timestamptz not null default now();
alter table public.scenes
  add column if not exists order_index integer not null default 0,
  add column if not exists title text,
  add column if not exists description text,
  add column if not exists prompt text,
  add column if not exists duration numeric,
  add column if not exists updated_at timestamptz not null default now();
alter table public.clips
  add column if not exists prompt text,
  add column if not exists status text,
  add column if not exists storage_key text check (storage_key like 'projects/' || project_id || '/clips/%'),
  add column if not exists thumbnail_url text,
  add column if not exists thumbnail_key text check (thumbnail_key like 'projects/' || project_id || '/thumbnails/%'),
  add column if not exists order_index integer not null default 0,
  add column if not exists start_trim numeric not null default 0,
  add column if not exists end_trim numeric,
  add column if not exists duration numeric,
  add column if not exists updated_at timestamptz not null default now();
alter table public.voices
  alter column user_id set default auth.uid(),
  add column if not exists name text not null default '',
  add column if not exists settings jsonb not null default '{}',
  add column if not exists updated_at timestamptz not null default now();
alter table public.exports
  add column if not exists status text not null default 'completed'
    check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  add column if not exists progress integer not null default 0,
  add column if not exists message text,
  add column if not exists storage_key text check (storage_key like 'projects/' || project_id || '/final/%'),
  add column if not exists resolution text,
  add column if not exists duration numeric,
  add column if not exists error text,
  add column if not exists completed_at timestamptz,
  add column if not exists updated_at timestamptz not null default now();
alter table public.exports alter column status set default 'pending';
alter table public.audio_files
  add column if not exists name text not null default '',
  add column if not exists storage_key text check (storage_key like 'projects/' || project_id || '/audio/%'),
  add column if not exists start_time numeric not null default 0,
  add column if not exists volume numeric not null default 1,
  add column if not exists duration numeric,
  add column if not exists updated_at timestamptz not null default now();

create index if not exists projects_user_id_idx on public.projects (user_id);
create index if not exists scenes_project_id_idx on public.scenes (project_id, order_index);
create index if not exists clips_project_id_idx on public.clips (project_id, order_index);
create index if not exists clips_scene_id_idx on public.clips (project_id, scene_id);
create index if not exists voices_user_id_idx on public.voices (user_id);
create index if not exists exports_project_id_idx on public.exports (project_id);
create index if not exists audio_files_project_id_idx on public.audio_files (project_id);

-- Rows without a user belong to nobody: every visitor who is not signed in sees and changes all of them. The table
-- anonymous_limits bounds their number; `update anonymous_limits set projects = 0` forbids and hides them.
create table if not exists public.anonymous_limits (
  only_one boolean primary key default true check (only_one),
  projects integer not null default 100 check (projects >= 0), -- and voices
  rows_of_each integer not null default 200 check (rows_of_each >= 0) -- of a project, in every other table; and files
);
insert into public.anonymous_limits default values on conflict do nothing;

-- Whether the visitor is not signed in, and does not need to be.
create or replace function public.visits_anonymously() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select auth.uid() is null and exists (select from public.anonymous_limits as l where l.projects > 0) $$;

-- Whether a key of the storage is in the folder of a project that the caller may see, by the policies of projects.
create or replace function public.is_project_file(name text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case
    when name ~ '^projects/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/'
    then exists (select from public.projects as p where p.id = split_part(name, '/', 2)::uuid)
    else false
  end
$$;

-- Whether one more file is allowed there: visitors who are not signed in share a limit.
create or replace function public.takes_project_file(name text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  return public.is_project_file(name) and (
    auth.uid() is not null or public.anonymous_rows_of_each() > (
      select count(*) from storage.objects as o
      where o.name like 'projects/' || split_part(takes_project_file.name, '/', 2) || '/%'
    )
  );
end
$$;

create or replace function public.anonymous_rows_of_each() returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select l.rows_of_each from public.anonymous_limits as l $$;

create or replace function public.project_row_changes() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end
$$;

-- Counts the rows that belong to nobody, with the owner's rights, one visitor after the other.
create or replace function public.limit_anonymous_rows() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
as $$
declare
  most integer;
  there integer;
begin
  if tg_argv[0] = 'of nobody' then
    if new.user_id is not null then
      return new;
    end if;
    select l.projects into most from public.anonymous_limits as l;
    perform pg_advisory_xact_lock(hashtextextended('anonymous ' || tg_table_name, 0));
    execute format('select count(*) from public.%I where user_id is null', tg_table_name) into there;
  else
    if exists (select from public.projects as p where p.id = new.project_id and p.user_id is not null) then
      return new;
    end if;
    most := public.anonymous_rows_of_each();
    perform pg_advisory_xact_lock(hashtextextended(new.project_id::text, 0));
    execute format('select count(*) from public.%I where project_id = $1', tg_table_name)
      into there using new.project_id;
  end if;
  if there >= most then
    raise exception 'at most % % may exist without a user, and % exist', most, tg_table_name, there
      using errcode = 'check_violation', hint = 'Sign in, or raise the limit in the table anonymous_limits.';
  end if;
  return new;
end
$$;

-- A row that is inserted with a film records an existing film; a row without one is a job.
create or replace function public.export_begins() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status = 'pending' and new.file_url is not null then
    new.status := 'completed';
  end if;
  return new;
end
$$;

create or replace trigger exports_begin before insert on public.exports
  for each row execute function public.export_begins();

-- sync_scenes: makes the scenes of a project equal to the list, in its order: it inserts new ones, changes the named
-- fields of others, and deletes those that are not listed. Returns all scenes.
create or replace function public.sync_scenes(project_id uuid, scenes jsonb) returns setof public.scenes
language plpgsql set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform from public.projects as p where p.id = sync_scenes.project_id for no key update;
  if not found then
    raise exception 'there is no project %', sync_scenes.project_id using errcode = 'no_data_found';
  end if;
  if jsonb_typeof(sync_scenes.scenes) <> 'array' then
    raise exception 'the scenes of a project must be a list' using errcode = 'invalid_parameter_value';
  end if;
  if exists (
    select from public.scenes as s join jsonb_array_elements(sync_scenes.scenes) as item on s.id = (item ->> 'id')::uuid
    where s.project_id <> sync_scenes.project_id
  ) then
    raise exception 'a scene belongs to another project' using errcode = 'invalid_parameter_value';
  end if;
  delete from public.scenes as s
  where s.project_id = sync_scenes.project_id
    and s.id not in (
      select (item ->> 'id')::uuid from jsonb_array_elements(sync_scenes.scenes) as item where item ->> 'id' is not null
    );
  insert into public.scenes as s (id, project_id, order_index, title, description, prompt, duration)
  select coalesce(scene.id, gen_random_uuid()), sync_scenes.project_id, (listed.place - 1)::int,
    scene.title, scene.description, scene.prompt, scene.duration
  from jsonb_array_elements(sync_scenes.scenes) with ordinality as listed (item, place)
  left join public.scenes as old on old.id = (listed.item ->> 'id')::uuid,
    lateral jsonb_populate_record(old, listed.item) as scene
  on conflict (id) do update
  set order_index = excluded.order_index, title = excluded.title, description = excluded.description,
      prompt = excluded.prompt, duration = excluded.duration
  where (s.order_index, s.title, s.description, s.prompt, s.duration)
    is distinct from
    (excluded.order_index, excluded.title, excluded.description, excluded.prompt, excluded.duration);
  return query
    select * from public.scenes as s where s.project_id = sync_scenes.project_id order by s.order_index, s.id;
end
$$;

-- reorder_clips: puts the clips of a project in this order; clips that are not named follow in their old order. Returns
-- all clips.
create or replace function public.reorder_clips(project_id uuid, clip_ids uuid[]) returns setof public.clips
language plpgsql set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  perform from public.projects as p where p.id = reorder_clips.project_id for no key update;
  update public.clips as c
  set order_index = placed.place
  from (
    select k.id,
      (row_number() over (order by array_position(clip_ids, k.id), k.order_index, k.created_at, k.id) - 1)::int as place
    from public.clips as k where k.project_id = reorder_clips.project_id
  ) as placed
  where c.id = placed.id and c.order_index is distinct from placed.place;
  return query select * from public.clips as c
    where c.project_id = reorder_clips.project_id order by c.order_index, c.created_at, c.id;
end
$$;

-- Grants. Projects made since 2026 grant nothing by default, older ones everything.
do $$
declare
  visitor text;
  wanted text;
  rule text;
begin
  foreach wanted in array array['projects', 'scenes', 'clips', 'voices', 'exports', 'audio_files'] loop
    execute format('alter table public.%I enable row level security', wanted);
    execute format('create or replace trigger %I before update on public.%I for each row'
      ' execute function public.project_row_changes()', wanted || '_changes', wanted);
    execute format('create or replace trigger %I before insert on public.%I for each row'
      ' execute function public.limit_anonymous_rows(%L)', wanted || '_limit', wanted,
      case when wanted in ('projects', 'voices') then 'of nobody' else 'of a project' end);

    rule := case when wanted in ('projects', 'voices')
      then 'user_id = (select auth.uid()) or user_id is null and (select public.visits_anonymously())'
      -- The policies of projects decide which projects are visible.
      else 'exists (select from public.projects as p where p.id = project_id)' end;
    if not exists (
      select from pg_catalog.pg_policies as p
      where p.schemaname = 'public' and p.tablename = wanted and p.policyname = wanted || '_owner'
    ) then
      execute format('create policy %I on public.%I using (%s) with check (%s)',
        wanted || '_owner', wanted, rule, rule);
    end if;
  end loop;
  alter table public.anonymous_limits enable row level security;

  revoke all on function public.sync_scenes(uuid, jsonb), public.reorder_clips(uuid, uuid[]),
    public.visits_anonymously(), public.is_project_file(text), public.takes_project_file(text),
    public.anonymous_rows_of_each(), public.limit_anonymous_rows(), public.project_row_changes(), public.export_begins()
  from public;
  foreach visitor in array array['anon', 'authenticated', 'service_role'] loop
    if to_regrole(visitor) is not null then
      execute format('revoke all on public.projects, public.scenes, public.clips, public.voices, public.exports,'
        ' public.audio_files, public.anonymous_limits from %I', visitor);
      execute format('grant select, insert, update, delete on public.projects, public.scenes, public.clips,'
        ' public.voices, public.exports, public.audio_files to %I', visitor);
      execute format('revoke all on function public.limit_anonymous_rows(), public.project_row_changes(),'
        ' public.export_begins() from %I', visitor);
      execute format('grant execute on function public.sync_scenes(uuid, jsonb), public.reorder_clips(uuid, uuid[]),'
        ' public.visits_anonymously(), public.is_project_file(text), public.takes_project_file(text),'
        ' public.anonymous_rows_of_each() to %I', visitor);
    end if;
  end loop;
  if to_regrole('service_role') is not null then
    grant select, update on public.anonymous_limits to service_role;
  end if;
end
$$;

-- Buckets, and in each the folders of the projects that the user may see. Plain Postgres has no schema `storage`.
do $$
declare
  wanted record;
begin
  if to_regclass('storage.buckets') is null or to_regclass('storage.objects') is null then
    return;
  end if;

  insert into storage.buckets (id, name, public)
  select bucket, bucket, false from unnest(array['clips', 'audio', 'exports', 'thumbnails']) as bucket
  on conflict (id) do nothing;

  for wanted in
    select *
    from (values
      ('select', 'using (%s and public.is_project_file(name))'),
      ('insert', 'with check (%s and public.takes_project_file(name))'),
      ('update', 'using (%1$s and public.is_project_file(name)) with check (%1$s and public.is_project_file(name))'),
      ('delete', 'using (%s and public.is_project_file(name))')
    ) as policy (verb, rule)
    where not exists (
      select from pg_catalog.pg_policies as p
      where p.schemaname = 'storage' and p.tablename = 'objects'
        and p.policyname = format('project_files_%s_policy', policy.verb)
    )
  loop
    execute format('create policy %I on storage.objects for %s to anon, authenticated %s',
      format('project_files_%s_policy', wanted.verb), wanted.verb,
      format(wanted.rule, 'bucket_id in (''clips'', ''audio'', ''exports'', ''thumbnails'')'));
  end loop;
end
$$;

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables)
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'exports'
    )
  then
    alter publication supabase_realtime add table public.exports;
  end if;
end
$$;

select listener.attach(
  'public.exports',
  queue => 'project_exports',
  result => '',
  started_at => '',
  words => '{"ready": "pending", "running": "processing", "done": "completed", "failed": "failed",
    "cancelled": "cancelled"}'
);

-- PostgREST learns of the new tables; not every project has an event trigger for that.
notify pgrst, 'reload schema';
