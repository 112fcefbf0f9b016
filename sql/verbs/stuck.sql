-- stuck: the jobs that are overdue, and why, the longest first. Jobs that wait, and rows that another program left,
-- count only when nobody has touched them for `older`. Returns [{queue, key, state, attempt, max_attempts, worker,
-- error, word, since, timeout, why}]; why:
--   broken    the table refused the result; the error says how
--   silent    the lease ended without a heartbeat, and nobody has rescued the job yet
--   slow      it runs for longer than its handler may: a thread can't be interrupted
--   paused    it is due, and its queue is paused
--   unserved  it is due, and no live process serves its queue
--   foreign   the row shows a running word, and nobody here runs it: another program does, or has left it
create or replace function listener.stuck(
  queue text default null, older interval default '10 minutes', most int default 50
) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$
declare
  a     listener.attachment;
  found jsonb;
  part  jsonb;
begin
  select coalesce(jsonb_agg(to_jsonb(s)), '[]') into found from (
    select o.* from (
      select q.name as queue, d.job_key as key, d.state, d.attempt, q.max_attempts, d.worker, d.error, d.word,
             case when d.state = 'running' then d.claimed_at else d.run_at end as since,
             (w.timeouts->>q.name)::float8 as timeout,
             case when d.state = 'broken' then 'broken'
                  when d.state = 'running' and d.lease_until < clock_timestamp() then 'silent'
                  when d.state = 'running'
                    and d.claimed_at + make_interval(secs => (w.timeouts->>q.name)::float8) < clock_timestamp()
                    then 'slow'
                  when d.state = 'running' or d.run_at > clock_timestamp() - older then null
                  when q.paused then 'paused'
                  when not exists (select from listener.worker as l
                                   where l.slots ? q.name and l.seen_at > clock_timestamp() - interval '100 seconds')
                    then 'unserved' end as why
      from listener.delivery as d
      join listener.queue as q on q.id = d.queue
      left join listener.worker as w on w.id = d.worker
      where stuck.queue is null or q.name = stuck.queue or q.name like stuck.queue || '/%'
    ) as o where o.why is not null order by o.since limit most
  ) as s;

  for a in select * from listener.attachment as t
           where stuck.queue is null or t.name = stuck.queue
              or t.id = (select q.attachment from listener.queue as q where q.name = stuck.queue)
  loop
    begin
      execute format($sql$
        select jsonb_agg(to_jsonb(f)) from (
          select q.name as queue, c.key, 'foreign' as state, 0 as attempt, q.max_attempts, null as worker,
                 null as error, c.word, c.touched as since, null as timeout, 'foreign' as why
          from %3$s as r cross join lateral (select %1$s, %2$s as touched) as c
          join listener.queue as q on q.id = c.queue
          where r.%4$I::text = any($1) and (c.touched is null or c.touched <= clock_timestamp() - $2)
            and ($3 is null or q.name = $3 or q.name like $3 || '/%%')
            and not exists (select from listener.delivery as d where d.attachment = %5$s and d.job_key = c.key)
          order by c.touched limit $4) as f $sql$,
        listener.row_sql(a), listener.moment_sql(coalesce(a.columns->'updated_at', a.columns->'started_at')),
        a.table_name, a.status_column, a.id) into part using a.stages || a.running, older, stuck.queue, most;
    exception when undefined_table or undefined_column then
      part := null;  -- reconcile reports it
    end;
    found := found || coalesce(part, '[]');
  end loop;
  return found;
end $$;
