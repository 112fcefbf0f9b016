-- postpone_next: puts the next job of a queue aside, because its claim took too long even alone: it is due again after 5,
-- 10, 20 and 40 seconds, and then its delivery becomes broken. Returns {"key", "state"}, or null when none waits.
create or replace function listener.postpone_next(queue text, error text) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
set jit = off
as $$
  update listener.delivery as d
  set state = case when d.refusals < 4 then 'scheduled' else 'broken' end, refusals = d.refusals + 1,
      run_at = clock_timestamp() + make_interval(secs => 5 * 2 ^ least(d.refusals, 4)), error = postpone_next.error
  where d.id = (
    select w.id from listener.delivery as w
    where w.queue = (select q.id from listener.queue as q where q.name = postpone_next.queue) and w.state = 'waiting'
    order by w.priority desc, w.id limit 1 for update skip locked)
  returning jsonb_build_object('key', d.job_key, 'state', d.state)
$$;
