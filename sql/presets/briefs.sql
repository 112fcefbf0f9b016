-- Preset: briefs and their typed jobs (tables briefs, jobs, pipelines; views job_stats, active_jobs and
-- pending_jobs_queue; functions claim_job, complete_job, fail_job).
-- Run it as the owner of the schema, in psql or the SQL editor; running it again changes nothing. It changes no object
-- that existed before, and the preset briefs_remove drops all of its objects. With psql, pass `--single-transaction`.

-- An application may already have such tables; they can be attached as they are.
do $$
declare
  taken text;
begin
  if exists (
    select from pg_catalog.pg_attribute as a where a.attrelid = to_regclass('public.jobs') and a.attname = 'step'
  ) and to_regclass('public.pipelines') is not null then
    return;
  end if;
  select name into taken from (
    select relname::text as name, relnamespace as schema from pg_catalog.pg_class
    union all
    select proname, pronamespace from pg_catalog.pg_proc
  ) as had
  where schema = to_regnamespace('public') and name in ('pipelines', 'briefs', 'jobs', 'job_stats', 'active_jobs',
    'pending_jobs_queue', 'pipeline_problem', 'brief_changes', 'job_changes', 'advance_brief', 'cancel_steps',
    'create_brief_with_job', 'claim_job', 'complete_job', 'fail_job', 'trim_jobs')
  order by name limit 1;
  if taken is not null then
    raise exception 'public.% exists already, and this preset did not make it', taken
      using hint = 'Nothing was changed. To use your own table of jobs, attach it by listener.attach.';
  end if;
end
$$;

create table if not exists public.pipelines (
  name text primary key,
  steps text[] not null
);

create table if not exists public.briefs (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  title text not null,
  description text not null default '',
  query text not null default '',
  media_type text not null default 'text' check (media_type in ('video', 'image', 'audio', 'text')),
  steps text[] not null default '{analysis}',
  status text not null default 'pending'
    check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  result jsonb,
  error text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  completed_at timestamptz
);

create table if not exists public.jobs (
  id uuid primary key default gen_random_uuid(),
  brief_id uuid references public.briefs (id) on delete cascade,
  step integer,  -- its place in the steps of its brief, from 1; null for a job that stands beside them
  type text not null,
  status text not null default 'pending'
    check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  priority integer not null default 0,
  attempts integer not null default 0,
  max_attempts integer not null default 3 check (max_attempts > 0),
  payload jsonb not null default '{}',
  metadata jsonb not null default '{}',
  progress integer not null default 0,
  message text,
  result jsonb,
  error text,
  worker_id text,
  run_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index if not exists briefs_user_id_idx on public.briefs (user_id);
create index if not exists briefs_completed_at_idx on public.briefs (completed_at) where completed_at is not null;
create index if not exists jobs_brief_id_idx on public.jobs (brief_id);
create index if not exists jobs_unfinished_idx on public.jobs (status, priority desc, created_at)
  where status in ('pending', 'processing');
create index if not exists jobs_completed_at_idx on public.jobs (completed_at) where brief_id is null;
-- Each step has at most one job, even when workers compete.
create unique index if not exists jobs_one_of_each_step on public.jobs (brief_id, step) where step is not null;

do $$
begin
  if to_regclass('auth.users') is not null
    and not exists (select from pg_catalog.pg_constraint where conname = 'briefs_user_id_fkey'
      and conrelid = 'public.briefs'::regclass)
  then
    alter table public.briefs add constraint briefs_user_id_fkey
      foreign key (user_id) references auth.users (id) on delete cascade;
  end if;
end
$$;

-- A sentence that says what is wrong with the steps of a pipeline; null when they are right.
create or replace function public.pipeline_problem(steps text[]) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select case
    when coalesce(cardinality(steps), 0) = 0 then 'a pipeline needs at least one step'
    when exists (select from unnest(steps) as s where s is null) then 'a pipeline must not have gaps'
    when (select count(distinct s) < count(*) from unnest(steps) as s) then 'a pipeline must not come back to a step'
    else (
      select format('%L is no type of a job; the types are analysis, asset_prep, storyboard, video_generation,'
        ' image_processing, text_analysis and render', s)
      from unnest(steps) as s
      where s not in (
        'analysis', 'asset_prep', 'storyboard', 'video_generation', 'image_processing', 'text_analysis', 'render'
      )
      limit 1
    )
  end
$$;

-- Refuses steps that are not valid, and records the times of a brief at every change.
create or replace function public.brief_changes() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  problem text;
begin
  if tg_op = 'INSERT' or new.steps is distinct from old.steps then
    problem := public.pipeline_problem(new.steps);
    if problem is not null then
      raise exception '%', problem using errcode = 'check_violation';
    end if;
  end if;
  if tg_op = 'UPDATE' and tg_table_name = 'briefs' then
    new.updated_at := clock_timestamp();
    new.completed_at := case when new.status in ('completed', 'failed', 'cancelled')
                             then coalesce(new.completed_at, clock_timestamp()) end;
  end if;
  return new;
end
$$;

create or replace trigger pipelines_changes before insert or update on public.pipelines
  for each row execute function public.brief_changes();
create or replace trigger briefs_changes before insert or update on public.briefs
  for each row execute function public.brief_changes();

insert into public.pipelines (name, steps)
values
  ('simple', '{analysis}'),
  ('video', '{analysis,asset_prep,video_generation,render}'),
  ('image', '{analysis,asset_prep,image_processing,render}'),
  ('audio', '{analysis,asset_prep,render}'),
  ('text', '{analysis,text_analysis,render}')
on conflict (name) do nothing;

-- Counts attempts and records times at every change of the status, by this service, an older worker or a person. Each
-- later step gets the result and browsers show it, so it describes what was made and does not contain it.
create or replace function public.job_changes() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := clock_timestamp();
  if new.result is distinct from old.result and octet_length(new.result::text) > 1048576 then
    raise exception
      'the result has % MB, but a row may keep 1 MB; store the result as a file, and return its address',
      round(octet_length(new.result::text) / 1048576.0, 1) using errcode = 'check_violation';
  end if;
  if new.status = old.status then
    return new;
  end if;
  if new.status = 'processing' then
    new.attempts := old.attempts + 1;
    new.started_at := clock_timestamp();
    new.error := null;
  elsif new.status = 'pending' then
    new.completed_at := null;
    if old.status <> 'processing' then
      -- The step starts again.
      new.attempts := 0;
      new.result := null;
      new.worker_id := null;
    end if;
  else
    new.completed_at := coalesce(new.completed_at, clock_timestamp());
  end if;
  return new;
end
$$;

create or replace trigger jobs_changes before update on public.jobs
  for each row execute function public.job_changes();

-- Starts what follows a step, in the transaction that ends it: the next step, with all results so far, or the end of
-- its brief. It runs with the owner's rights, because the role that ends the step may not see or write briefs. A
-- transaction that cancels the brief holds the brief's row and waits for this one; the wait here is the shorter one,
-- so that this transaction is rolled back and tried again.
create or replace function public.advance_brief() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
set lock_timeout = '300ms'
as $$
declare
  brief public.briefs;
begin
  if new.status = 'pending' and old.status <> 'processing' then
    -- This step runs again, and so does the rest of its brief.
    update public.briefs as b set status = 'processing', result = null, error = null
    where b.id = new.brief_id and b.status in ('completed', 'failed', 'cancelled');
    return null;
  end if;
  select * into brief from public.briefs as b where b.id = new.brief_id;
  if brief.id is null or brief.status in ('completed', 'failed', 'cancelled') then
    return null;
  end if;
  case new.status
    when 'processing' then
      -- A claim waits for nobody, so a brief that is locked now is updated at its next step.
      update public.briefs as b set status = 'processing' where b.id = (
        select l.id from public.briefs as l where l.id = brief.id and l.status = 'pending' for no key update skip locked
      );
    when 'completed' then
      if new.step < cardinality(brief.steps) then
        insert into public.jobs as j (brief_id, step, type, priority, max_attempts, payload, metadata)
        values (
          brief.id, new.step + 1, brief.steps[new.step + 1], new.priority, new.max_attempts,
          new.payload || jsonb_build_object('results',
            coalesce(new.payload -> 'results', '{}') || jsonb_build_object(new.type, new.result)),
          new.metadata
        )
        on conflict (brief_id, step) where step is not null do update set status = 'pending', payload = excluded.payload
          where j.status in ('completed', 'failed', 'cancelled');
      else
        update public.briefs as b set status = 'completed', result = new.result
        where b.id = brief.id and b.status in ('pending', 'processing');
      end if;
    when 'failed' then
      update public.briefs as b
      set status = 'failed', error = format('%s failed: %s', new.type, coalesce(new.error, 'it gave no reason'))
      where b.id = brief.id and b.status in ('pending', 'processing');
    when 'cancelled' then
      update public.briefs as b set status = 'cancelled'
      where b.id = brief.id and b.status in ('pending', 'processing');
    else
      null;
  end case;
  return null;
end
$$;

create or replace trigger jobs_advance after update of status on public.jobs
  for each row when (new.step is not null and new.status is distinct from old.status)
  execute function public.advance_brief();

-- Cancels the remaining steps of a cancelled brief. It repeats, because a step that is just ending makes the next step
-- while this function waits for it.
create or replace function public.cancel_steps() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
as $$
begin
  while exists (select from public.jobs as j where j.brief_id = new.id and j.status in ('pending', 'processing')) loop
    update public.jobs as j set status = 'cancelled'
    where j.brief_id = new.id and j.status in ('pending', 'processing');
  end loop;
  return null;
end
$$;

create or replace trigger briefs_cancel after update of status on public.briefs
  for each row when (new.status = 'cancelled' and old.status is distinct from 'cancelled')
  execute function public.cancel_steps();

-- create_brief_with_job: inserts a brief and its first job, both or neither. Returns {"brief", "job"}.
create or replace function public.create_brief_with_job(
  user_id uuid, title text, description text default '', query text default '', media_type text default 'text',
  use_pipeline boolean default false, metadata jsonb default '{}', steps text[] default null
) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  brief public.briefs;
  job public.jobs;
begin
  insert into public.briefs (user_id, title, description, query, media_type, metadata, steps)
  values (
    create_brief_with_job.user_id, create_brief_with_job.title, coalesce(create_brief_with_job.description, ''),
    coalesce(create_brief_with_job.query, ''), create_brief_with_job.media_type,
    coalesce(create_brief_with_job.metadata, '{}'),
    coalesce(create_brief_with_job.steps, (
      select p.steps from public.pipelines as p
      where p.name = case when use_pipeline then create_brief_with_job.media_type else 'simple' end
    ))
  )
  returning * into brief;
  insert into public.jobs (brief_id, step, type, payload, metadata)
  values (
    brief.id, 1, brief.steps[1],
    jsonb_build_object('query', brief.query, 'title', brief.title, 'description', brief.description,
      'media_type', brief.media_type, 'user_id', brief.user_id),
    brief.metadata
  )
  returning * into job;
  return jsonb_build_object('brief', to_jsonb(brief), 'job', to_jsonb(job));
end
$$;

-- claim_job: claims one job, of these types or of any, for a worker that is not this service. Returns no row when
-- there is no job. Both may use the table at once: the one that locks a row has its job, and the other leaves rows
-- with a running word alone. Such a worker has no lease: `listener jobs --stuck` lists a job that it left, and
-- `listener adopt` takes it over.
create or replace function public.claim_job(worker_id text, job_types text[] default null) returns setof public.jobs
language sql set search_path = pg_catalog, pg_temp
as $$
  update public.jobs as j set status = 'processing', worker_id = claim_job.worker_id
  where j.id = (
    select c.id from public.jobs as c
    where c.status = 'pending' and (claim_job.job_types is null or c.type = any(claim_job.job_types))
      and (c.run_at is null or c.run_at <= clock_timestamp())
    order by c.priority desc, c.created_at
    limit 1 for no key update skip locked
  )
  returning j.*
$$;

-- complete_job: completes a job and returns it; a job that was not running stays as it is.
create or replace function public.complete_job(job_id uuid, result jsonb default null) returns public.jobs
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  job public.jobs;
begin
  update public.jobs as j set status = 'completed', progress = 100, result = complete_job.result
  where j.id = complete_job.job_id and j.status = 'processing';
  select * into job from public.jobs as j where j.id = complete_job.job_id;
  return job;
end
$$;

-- fail_job: schedules another attempt, or fails the job for good when no attempt is left.
create or replace function public.fail_job(job_id uuid, error text) returns public.jobs
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  job public.jobs;
begin
  update public.jobs as j
  set status = case when j.attempts < j.max_attempts then 'pending' else 'failed' end,
      run_at = case when j.attempts < j.max_attempts
                    then clock_timestamp() + interval '2 seconds' * power(2, least(j.attempts - 1, 8)) * random() end,
      error = fail_job.error, worker_id = null
  where j.id = fail_job.job_id and j.status = 'processing';
  select * into job from public.jobs as j where j.id = fail_job.job_id;
  return job;
end
$$;

-- trim_jobs: deletes some of the briefs and jobs that ended longer ago. Returns how many of each.
create or replace function public.trim_jobs(older interval default '30 days', most int default 1000) returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  trimmed integer;
  more integer;
begin
  delete from public.briefs as b where b.id in (
    select c.id from public.briefs as c
    where c.completed_at < now() - trim_jobs.older limit trim_jobs.most for update skip locked
  );
  get diagnostics trimmed = row_count;
  delete from public.jobs as j where j.id in (
    select c.id from public.jobs as c
    where c.brief_id is null and c.completed_at < now() - trim_jobs.older
    limit greatest(0, trim_jobs.most - trimmed) for update skip locked
  );
  get diagnostics more = row_count;
  return trimmed + more;
end
$$;

create or replace view public.job_stats with (security_invoker = true) as
select type, status, count(*) as count,
       avg(extract(epoch from completed_at - started_at)) as average_seconds,
       min(created_at) as oldest, max(updated_at) as latest
from public.jobs group by type, status;

create or replace view public.active_jobs with (security_invoker = true) as
select j.*, extract(epoch from clock_timestamp() - j.started_at) as running_seconds, b.title, b.user_id
from public.jobs as j left join public.briefs as b on b.id = j.brief_id where j.status = 'processing';

create or replace view public.pending_jobs_queue with (security_invoker = true) as
select j.*, row_number() over (order by j.priority desc, j.created_at) as place,
       extract(epoch from clock_timestamp() - j.created_at) as waiting_seconds, b.title, b.user_id
from public.jobs as j left join public.briefs as b on b.id = j.brief_id where j.status = 'pending';

-- Servers may do all of this. A browser may only see its user's briefs and jobs, and cancel a brief.
alter table public.pipelines enable row level security;
alter table public.briefs enable row level security;
alter table public.jobs enable row level security;

do $$
declare
  visitor text;
  made regprocedure;
  wanted record;
begin
  for made in
    select p.oid from pg_catalog.pg_proc as p
    where p.pronamespace = 'public'::regnamespace and p.proname in ('pipeline_problem', 'brief_changes', 'job_changes',
      'advance_brief', 'cancel_steps', 'create_brief_with_job', 'claim_job', 'complete_job', 'fail_job', 'trim_jobs')
  loop
    execute format('revoke all on function %s from public', made);
    foreach visitor in array array['anon', 'authenticated'] loop
      if to_regrole(visitor) is not null then
        execute format('revoke all on function %s from %I', made, visitor);
      end if;
    end loop;
    if to_regrole('service_role') is not null then
      execute format('grant execute on function %s to service_role', made);
    end if;
  end loop;
  foreach visitor in array array['anon', 'authenticated', 'service_role'] loop
    if to_regrole(visitor) is not null then
      execute format('revoke all on public.pipelines, public.briefs, public.jobs, public.job_stats, public.active_jobs,'
        ' public.pending_jobs_queue from %I', visitor);
    end if;
  end loop;
  if to_regrole('service_role') is not null then
    grant select, insert, update, delete on public.pipelines, public.briefs, public.jobs to service_role;
    grant select on public.job_stats, public.active_jobs, public.pending_jobs_queue to service_role;
  end if;
  if to_regrole('authenticated') is not null and to_regprocedure('auth.uid()') is not null then
    grant select on public.briefs, public.jobs, public.job_stats, public.active_jobs, public.pending_jobs_queue
      to authenticated;
    grant update (status) on public.briefs to authenticated;
    for wanted in
      select *
      from (values
        ('briefs', 'briefs_select_policy', 'for select to authenticated using (user_id = auth.uid())'),
        ('briefs', 'briefs_cancel_policy', 'for update to authenticated using (user_id = auth.uid()'
          ' and status in (''pending'', ''processing'')) with check (user_id = auth.uid() and status = ''cancelled'')'),
        ('jobs', 'jobs_select_policy', 'for select to authenticated using (exists ('
          'select from public.briefs as b where b.id = brief_id and b.user_id = auth.uid()))')
      ) as policy (relation, name, rule)
      where not exists (
        select from pg_catalog.pg_policies p
        where p.schemaname = 'public' and p.tablename = policy.relation and p.policyname = policy.name
      )
    loop
      execute format('create policy %I on public.%I %s', wanted.name, wanted.relation, wanted.rule);
    end loop;
  end if;

  for wanted in
    select p.pubname, t.name from pg_catalog.pg_publication as p, unnest(array['briefs', 'jobs']) as t (name)
    where p.pubname = 'supabase_realtime' and not p.puballtables
      and not exists (
        select from pg_catalog.pg_publication_tables as o
        where o.pubname = p.pubname and o.schemaname = 'public' and o.tablename = t.name
      )
  loop
    execute format('alter publication %I add table public.%I', wanted.pubname, wanted.name);
  end loop;

  -- Without pg_cron the service does this.
  if exists (select from pg_catalog.pg_extension where extname = 'pg_cron') then
    perform cron.schedule('briefs-trim-jobs', '17 * * * *', 'select public.trim_jobs()');
  end if;
end
$$;

select listener.attach(
  'public.jobs',
  queue => 'jobs',
  kind => 'type',
  kinds => '{analysis,asset_prep,storyboard,video_generation,image_processing,text_analysis,render}',
  words => '{"ready": "pending", "running": "processing", "done": "completed", "failed": "failed",
             "cancelled": "cancelled"}',
  finished_at => 'completed_at'
);

-- PostgREST learns of the new tables; not every project has an event trigger for that.
notify pgrst, 'reload schema';
