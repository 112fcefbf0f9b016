-- Preset: clips to generate for projects (table clip_jobs). It needs the preset projects.
-- Run it as the owner of the schema, in psql or the SQL editor; running it again changes nothing.

do $$
begin
  if to_regclass('public.clips') is null or to_regclass('public.scenes') is null then
    raise exception 'the tables of projects are missing' using hint = 'Run the preset projects first.';
  end if;
end
$$;

create table if not exists public.clip_jobs (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  scene_id uuid,
  prompt text not null,
  provider text,
  duration numeric not null default 5,
  aspect_ratio text not null default '16:9',
  image_url text,
  status text not null default 'queued' check (status in ('queued', 'running', 'success', 'error', 'cancelled')),
  progress integer not null default 0,
  message text,
  file_url text,
  storage_key text,
  thumbnail_url text,
  thumbnail_key text,
  width integer,
  height integer,
  seconds numeric,
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  updated_at timestamptz not null default now(),
  foreign key (project_id, scene_id) references public.scenes (project_id, id) on delete set null (scene_id)
);

create index if not exists clip_jobs_project_id_idx on public.clip_jobs (project_id, created_at);
create index if not exists clip_jobs_scene_id_idx on public.clip_jobs (project_id, scene_id);

create or replace trigger clip_jobs_changes before update on public.clip_jobs
  for each row execute function public.project_row_changes();

-- Adds the clip of a finished job to the end of its project, in the same transaction and only once, however often the
-- job was started. A transaction that deletes the project holds it and waits for this row: this transaction is rolled
-- back.
create or replace function public.clip_job_succeeds() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
set lock_timeout = '300ms'
as $$
begin
  insert into public.clips as c (
    id, project_id, scene_id, provider, prompt, file_url, storage_key, thumbnail_url, thumbnail_key, duration,
    order_index
  )
  values (
    new.id, new.project_id, new.scene_id, new.provider, new.prompt, new.file_url, new.storage_key, new.thumbnail_url,
    new.thumbnail_key, new.seconds,
    (select coalesce(max(k.order_index) + 1, 0) from public.clips as k where k.project_id = new.project_id)
  )
  on conflict (id) do update
  set provider = excluded.provider, prompt = excluded.prompt, file_url = excluded.file_url,
      storage_key = excluded.storage_key, thumbnail_url = excluded.thumbnail_url,
      thumbnail_key = excluded.thumbnail_key, duration = excluded.duration
  where c.project_id = excluded.project_id;
  return null;
end
$$;

create or replace trigger clip_jobs_succeed after update of status on public.clip_jobs
  for each row when (new.status = 'success' and old.status <> 'success' and new.storage_key is not null)
  execute function public.clip_job_succeeds();

-- Clips cost money, so only signed-in users may ask for them, for their own projects; for visitors the application's
-- server does it. Only the service writes the result of a job.
alter table public.clip_jobs enable row level security;

do $$
declare
  visitor text;
  wanted record;
begin
  revoke all on function public.clip_job_succeeds() from public;
  foreach visitor in array array['anon', 'authenticated', 'service_role'] loop
    if to_regrole(visitor) is not null then
      execute format('revoke all on function public.clip_job_succeeds() from %I', visitor);
      execute format('revoke all on public.clip_jobs from %I', visitor);
      execute format('grant select on public.clip_jobs to %I', visitor);
    end if;
  end loop;
  if to_regrole('service_role') is not null then
    grant insert, update, delete on public.clip_jobs to service_role;
  end if;
  if to_regrole('authenticated') is not null then
    grant insert (id, project_id, scene_id, prompt, provider, duration, aspect_ratio, image_url), update (status),
      delete
      on public.clip_jobs to authenticated;
  end if;
  for wanted in
    select *
    from (values
      ('clip_jobs_select_policy', 'for select using'), ('clip_jobs_insert_policy', 'for insert with check'),
      ('clip_jobs_update_policy', 'for update using'), ('clip_jobs_delete_policy', 'for delete using')
    ) as policy (name, clause)
    where not exists (
      select from pg_catalog.pg_policies as p
      where p.schemaname = 'public' and p.tablename = 'clip_jobs' and p.policyname = policy.name
    )
  loop
    execute format(
      'create policy %I on public.clip_jobs %s (exists (select from public.projects as p where p.id = project_id))',
      wanted.name, wanted.clause
    );
  end loop;

  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables)
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'clip_jobs'
    )
  then
    alter publication supabase_realtime add table public.clip_jobs;
  end if;
end
$$;

select listener.attach(
  'public.clip_jobs',
  queue => 'clips',
  result => '',
  started_at => '',
  words => '{"ready": "queued", "running": "running", "done": "success", "failed": "error", "cancelled": "cancelled"}'
);

-- PostgREST learns of the new tables; not every project has an event trigger for that.
notify pgrst, 'reload schema';
