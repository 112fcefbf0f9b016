-- jobs: lists the unfinished jobs in the order in which they will run, or, for the states completed, failed and
-- cancelled, the ended ones, newest first. Returns [{queue, key, state, attempt, max_attempts, worker, error, due, …}].
create or replace function listener.jobs(queue text default null, state text default null, most int default 50)
returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select coalesce(jsonb_agg(to_jsonb(j) order by j.n), '[]') from (
    (select row_number() over () as n, d.* from (
      select q.name as queue, d.job_key as key, d.state, d.attempt, q.max_attempts, d.priority, d.worker, d.error,
             d.run_at as due, d.claimed_at, d.lease_until, d.lease_until < now() as expired, d.word
      from listener.delivery as d join listener.queue as q on q.id = d.queue
      where (jobs.queue is null or q.name = jobs.queue or q.name like jobs.queue || '/%')
        and (jobs.state is null and d.state is not null or d.state = jobs.state)
      order by d.state = 'broken' desc, d.state = 'running' desc, d.state, d.priority desc, d.id limit most) as d)
    union all
    (select row_number() over (), t.* from (
      select q.name, t.job_key, t.outcome, t.attempt, q.max_attempts, null::int, t.worker, t.error,
             t.finished_at, t.started_at, null::timestamptz, null::boolean, null::text
      from listener.attempt as t join listener.queue as q on q.id = t.queue
      where (jobs.queue is null or q.name = jobs.queue or q.name like jobs.queue || '/%')
        and t.outcome = jobs.state and jobs.state in ('completed', 'failed', 'cancelled')
      order by t.id desc limit most) as t)
  ) as j
$$;
