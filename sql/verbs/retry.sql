-- retry: gives jobs back after a failed attempt. Batch: [{"delivery", "fence", "error", "kind"?, "delay"?, "warnings"?}], the
-- delay in seconds; without one it is the queue's exponential backoff with full jitter, at most ten minutes:
-- a random share of backoff * 2^(attempt - 1). A job whose attempts are spent fails instead (outcome `spent`).
-- The row shows the ready word again, or stays at the stage it had reached.
create or replace function listener.retry(batch jsonb) returns jsonb
language sql security definer set search_path = '' set row_security = off
as $$ select listener.settle('retry', batch) $$;

create or replace function listener.apply_retry(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  a      listener.attachment;
  grips  listener.grip[];
  spent  jsonb;
  again  jsonb;
  answer jsonb;
begin
  select array_agg(h) into grips from listener.hold(batch, patient) as h;
  select jsonb_agg(item) filter (where g.attempt >= q.max_attempts), jsonb_agg(item) filter (where g.attempt < q.max_attempts)
    into spent, again
    from jsonb_array_elements(batch) as item join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
    join listener.queue as q on q.id = g.queue
    where g.standing = 'held';

  answer := listener.answer(batch, grips);
  if spent is not null then
    perform listener.finish('failed', spent, patient);
    answer := (select jsonb_agg(case when spent @> jsonb_build_array(jsonb_build_object('delivery', o->'delivery'))
      then o || '{"outcome": "spent"}' else o end) from jsonb_array_elements(answer) as o);
  end if;
  if again is null then
    return answer;
  end if;

  insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, warnings, started_at)
  select g.queue, g.job_key, g.attempt, g.fence, g.worker, 'retried', item->>'error', item->'warnings', g.claimed_at
  from jsonb_array_elements(again) as item join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint);

  for a in select * from listener.attachment as t where t.id in (select g.attachment from unnest(grips) as g) loop
    update listener.delivery as d
    set state = 'scheduled', worker = null, lease_until = null,
        run_at = clock_timestamp() + make_interval(secs => coalesce(
          (select (item->>'delay')::float8 from jsonb_array_elements(again) as item where (item->>'delivery')::bigint = d.id),
          random() * least(600, extract(epoch from q.backoff) * 2 ^ least(d.attempt - 1, 20)))),
        word = case when d.word = any(a.stages) and d.word <> a.stages[1] then d.word else a.ready end
    from listener.queue as q
    where q.id = d.queue and d.attachment = a.id
      and d.id = any(array(select (item->>'delivery')::bigint from jsonb_array_elements(again) as item));
    perform listener.write_rows(a, (
      select jsonb_agg(jsonb_build_object('key', g.job_key, 'columns', listener.paint(a, jsonb_build_object('status', a.ready))))
      from jsonb_array_elements(again) as item join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
      where g.attachment = a.id and not (g.word = any(a.stages) and g.word <> a.stages[1])));
    perform listener.wake(a.wake, array(select g.queue from unnest(grips) as g where g.attachment = a.id));
  end loop;
  return answer;
end $$;
