-- Preset: the video exports of OpenCut (table export_jobs, buckets export_data and exports).
-- Run it as the owner of the schema, in psql or the SQL editor; running it again changes nothing.

create table if not exists public.export_jobs (
  id uuid primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  project_id uuid not null,
  status varchar(20) not null check (status in ('queued', 'processing', 'completed', 'failed')),
  width integer not null,
  height integer not null,
  fps integer not null,
  duration float not null,
  progress integer default 0,
  download_url text,
  error_message text,
  created_at timestamp with time zone not null default now(),
  completed_at timestamp with time zone
);

create index if not exists export_jobs_user_id_idx on public.export_jobs (user_id);
create index if not exists export_jobs_project_id_idx on public.export_jobs (project_id);

alter table public.export_jobs enable row level security;

-- Projects made since 2026 grant nothing by default, older ones everything: TRIGGER, TRUNCATE and REFERENCES, too, which
-- policies do not restrict. A guard's grants of single columns stay.
do $$
declare
  visitor text;
begin
  foreach visitor in array array['anon', 'authenticated'] loop
    if to_regrole(visitor) is not null then
      execute format('revoke trigger, truncate, references on public.export_jobs from %I', visitor);
    end if;
  end loop;
  if to_regrole('anon') is not null then
    revoke all on public.export_jobs from anon;
  end if;
  if to_regrole('authenticated') is not null then
    grant select, insert, update, delete on public.export_jobs to authenticated;
  end if;
  if to_regrole('service_role') is not null then
    grant select, insert, update, delete on public.export_jobs to service_role;
  end if;
end
$$;

-- Users see and change their own export jobs only.
do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      ('export_jobs_select_policy', 'for select using (auth.uid() = user_id)'),
      ('export_jobs_insert_policy', 'for insert with check (auth.uid() = user_id)'),
      ('export_jobs_update_policy', 'for update using (auth.uid() = user_id) with check (auth.uid() = user_id)'),
      ('export_jobs_delete_policy', 'for delete using (auth.uid() = user_id)')
    ) as policy (name, rule)
    where not exists (
      select from pg_catalog.pg_policies p
      where p.schemaname = 'public' and p.tablename = 'export_jobs' and p.policyname = policy.name
    )
  loop
    execute format('create policy %I on public.export_jobs %s', wanted.name, wanted.rule);
  end loop;
end
$$;

-- Buckets, and in each the right of a user to one folder. Plain Postgres has no schema `storage`, so this is skipped.
do $$
declare
  wanted record;
begin
  if to_regclass('storage.buckets') is null or to_regclass('storage.objects') is null then
    return;
  end if;

  insert into storage.buckets (id, name, public)
  values ('export_data', 'export_data', false), ('exports', 'exports', false)
  on conflict (id) do nothing;

  for wanted in
    select bucket, verb, verb_clause
    from unnest(array['export_data', 'exports']) as bucket,
      (values ('select', 'for select using'), ('insert', 'for insert with check')) as verbs (verb, verb_clause)
    where not exists (
      select from pg_catalog.pg_policies p
      where p.schemaname = 'storage'
        and p.tablename = 'objects'
        and p.policyname = format('%s_%s_policy', bucket, verb)
    )
  loop
    execute format(
      'create policy %I on storage.objects %s (bucket_id = %L and (storage.foldername(name))[1] = auth.uid()::text)',
      format('%s_%s_policy', wanted.bucket, wanted.verb), wanted.verb_clause, wanted.bucket
    );
  end loop;
end
$$;

select listener.attach(
  'public.export_jobs',
  queue => 'export',
  status => 'status',
  error => 'error_message',
  result => '',
  started_at => '',
  finished_at => 'completed_at',
  words => '{"ready": "queued", "running": "processing", "done": "completed", "failed": "failed"}'
);

-- PostgREST learns of the new tables; not every project has an event trigger for that.
notify pgrst, 'reload schema';
