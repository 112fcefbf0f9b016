-- Preset: the recordings of a studio (table studio_jobs, bucket studio_audio).
-- Run it as the owner of the schema, in psql or the SQL editor; running it again changes nothing.

create table if not exists public.studio_jobs (
  job_id uuid primary key default gen_random_uuid(),
  created_at timestamp with time zone not null default now(),
  status text not null default 'NEW'
    check (status in ('NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED')),
  user_id uuid not null references auth.users (id) on delete cascade,
  raw_audio_url text,
  raw_transcript text,
  refined_text text,
  system_prompt_used text,
  processing_time_ms integer,
  error_details jsonb
);

create index if not exists studio_jobs_user_id_idx on public.studio_jobs (user_id);
create index if not exists studio_jobs_status_idx on public.studio_jobs (status);
create index if not exists studio_jobs_created_at_idx on public.studio_jobs (created_at);

-- Records the duration since the row was inserted. A trigger that an older table has for this stays.
create or replace function public.studio_jobs_measure() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  new.processing_time_ms := least(
    extract(epoch from clock_timestamp() - new.created_at) * 1000, 2147483647
  )::integer;
  return new;
end
$$;

do $$
begin
  if not exists (
    select from pg_catalog.pg_trigger as t join pg_catalog.pg_proc as f on f.oid = t.tgfoid
    where t.tgrelid = 'public.studio_jobs'::regclass and not t.tgisinternal
      and f.prosrc like '%processing_time_ms%'
  ) then
    create trigger studio_jobs_measure before update on public.studio_jobs
      for each row when (new.status = 'COMPLETE' and old.status <> 'COMPLETE')
      execute function public.studio_jobs_measure();
  end if;
end
$$;

-- Statistics of the jobs that the caller may see: number by status, durations, and the last ten that failed.
create or replace function public.studio_jobs_statistics() returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'by_status', (
      select coalesce(jsonb_object_agg(s.status, s.jobs), '{}')
      from (select j.status, count(*) as jobs from public.studio_jobs as j group by j.status) as s
    ),
    'mean_ms', round(avg(j.processing_time_ms)),
    'p95_ms', round(percentile_cont(0.95) within group (order by j.processing_time_ms)),
    'recent_failures', (
      select coalesce(jsonb_agg(to_jsonb(f) order by f.created_at desc), '[]')
      from (
        select r.job_id, r.created_at, r.error_details
        from public.studio_jobs as r where r.status = 'FAILED' order by r.created_at desc limit 10
      ) as f
    )
  )
  from public.studio_jobs as j where j.status = 'COMPLETE'
$$;

alter table public.studio_jobs enable row level security;

-- Projects made since 2026 grant nothing by default; without these grants the policies below have no effect.
do $$
declare
  visitor text;
begin
  revoke all on function public.studio_jobs_statistics() from public;
  revoke all on function public.studio_jobs_measure() from public;
  foreach visitor in array array['anon', 'authenticated', 'service_role'] loop
    if to_regrole(visitor) is not null then
      execute format('revoke all on function public.studio_jobs_statistics() from %I', visitor);
      execute format('revoke all on function public.studio_jobs_measure() from %I', visitor);
      -- Older projects grant everything; policies do not restrict these three.
      execute format('revoke trigger, truncate, references on public.studio_jobs from %I', visitor);
    end if;
  end loop;
  if to_regrole('anon') is not null then
    revoke all on public.studio_jobs from anon;
  end if;
  if to_regrole('authenticated') is not null then
    grant select, insert, update on public.studio_jobs to authenticated;
    grant execute on function public.studio_jobs_statistics() to authenticated;
  end if;
  if to_regrole('service_role') is not null then
    grant select, insert, update, delete on public.studio_jobs to service_role;
    grant execute on function public.studio_jobs_statistics() to service_role;
  end if;
end
$$;

-- Users see, create and change only their own jobs. A table that has policies already keeps them.
do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      ('studio_jobs_select_policy', 'SELECT', 'for select using (auth.uid() = user_id)'),
      ('studio_jobs_insert_policy', 'INSERT', 'for insert with check (auth.uid() = user_id)'),
      ('studio_jobs_update_policy', 'UPDATE',
        'for update using (auth.uid() = user_id) with check (auth.uid() = user_id)')
    ) as policy (name, verb, rule)
    where not exists (
      select from pg_catalog.pg_policies p
      where p.schemaname = 'public' and p.tablename = 'studio_jobs' and p.cmd in (policy.verb, 'ALL')
    )
  loop
    execute format('create policy %I on public.studio_jobs %s', wanted.name, wanted.rule);
  end loop;
end
$$;

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables)
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'studio_jobs'
    )
  then
    alter publication supabase_realtime add table public.studio_jobs;
  end if;
end
$$;

-- A bucket, and in it the right of a user to one folder. Plain Postgres has no schema `storage`, so this is skipped.
do $$
declare
  wanted record;
begin
  if to_regclass('storage.buckets') is null or to_regclass('storage.objects') is null then
    return;
  end if;

  insert into storage.buckets (id, name, public) values ('studio_audio', 'studio_audio', false)
  on conflict (id) do nothing;

  for wanted in
    select *
    from (values ('select', 'for select using'), ('insert', 'for insert with check')) as verbs (verb, verb_clause)
    where not exists (
      select from pg_catalog.pg_policies p
      where p.schemaname = 'storage'
        and p.tablename = 'objects'
        and p.policyname = format('studio_audio_%s_policy', verb)
    )
  loop
    execute format(
      'create policy %I on storage.objects %s'
      ' (bucket_id = ''studio_audio'' and (storage.foldername(name))[1] = auth.uid()::text)',
      format('studio_audio_%s_policy', wanted.verb), wanted.verb_clause
    );
  end loop;
end
$$;

select listener.attach(
  'public.studio_jobs',
  queue => 'studio',
  status => 'status',
  error => 'error_details',
  result => '',
  stages => '{TRANSCRIBING,ENRICHING,REFINING}',
  words => '{"ready": "NEW", "done": "COMPLETE", "failed": "FAILED"}',
  -- A provider that is busy stays so for minutes, not seconds.
  max_attempts => 5,
  backoff => '10 seconds'
);

-- PostgREST learns of the new tables; not every project has an event trigger for that.
notify pgrst, 'reload schema';
