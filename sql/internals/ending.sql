-- finish: the common end of complete and fail: history, the delivery's end, the final word.
create or replace function listener.finish(outcome text, batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  a       listener.attachment;
  grips   listener.grip[];
  held    bigint[];
  painted jsonb;
begin
  select array_agg(h) into grips from listener.hold(batch, patient) as h;
  held := array(select g.delivery from unnest(grips) as g where g.standing = 'held');

  delete from listener.delivery as d where d.id = any(held);
  insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, warnings, started_at)
  select g.queue, g.job_key, g.attempt, g.fence, g.worker, finish.outcome, item->>'error', item->'warnings', g.claimed_at
  from jsonb_array_elements(batch) as item join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
  where g.standing = 'held';

  for a in select * from listener.attachment as t where t.id in (select g.attachment from unnest(grips) as g) loop
    -- What is the same for all rows is made once.
    painted := listener.paint(a, case finish.outcome
      when 'completed' then jsonb_build_object('status', a.done, 'progress', 100, 'finished_at', true)
      else jsonb_build_object('status', a.failed, 'finished_at', true) end);
    perform listener.write_rows(a, (
      select jsonb_agg(jsonb_build_object('key', g.job_key, 'columns', coalesce(item->'columns', '{}') || painted
        || case finish.outcome when 'failed' then listener.paint(a, jsonb_build_object('error', jsonb_build_object(
             'stage', g.word, 'error', coalesce(item->>'kind', 'Fail'), 'message', item->'error', 'attempt', g.attempt))) else '{}' end))
      from jsonb_array_elements(batch) as item join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
      where g.standing = 'held' and g.attachment = a.id));
  end loop;
  return listener.answer(batch, grips);
end $$;

-- give_back: the common body of snooze and release: with a delay the job is due then, without one at once.
create or replace function listener.give_back(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  grips listener.grip[] := listener.hold_deliveries(batch, patient);
  woken int[];
begin
  with given_back as (
    update listener.delivery as d
    set state = case when item ? 'delay' then 'scheduled' else 'waiting' end,
        run_at = clock_timestamp() + make_interval(secs => coalesce((item->>'delay')::float8, 0)),
        snoozes = d.snoozes + (item ? 'delay')::int, attempt = d.attempt - 1, worker = null, lease_until = null
    from jsonb_array_elements(batch) as item
    where d.id = any(array(select g.delivery from unnest(grips) as g where g.standing = 'held'))
      and (d.id, d.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
    returning d.queue
  )
  select array_agg(distinct b.queue) into woken from given_back as b;
  perform listener.wake_queues(woken);
  return listener.answer(batch, grips);
end $$;

-- forget: ends the deliveries of these rows, whose locks the caller holds, and tells their workers to stop.
-- Those in a state of `noted` get a line of history.
create or replace function listener.forget(a listener.attachment, keys text[], why text, noted text[]) returns void
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare stopped int[];
begin
  with ended as (
    delete from listener.delivery as d where d.attachment = a.id and d.job_key = any(keys) returning d.*
  ), history as (
    insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
    select e.queue, e.job_key, e.attempt, e.fence, e.worker, 'cancelled', why,
           case when e.state = 'running' then e.claimed_at end
    from ended as e where e.state = any(forget.noted)
  )
  select array_agg(distinct e.queue) filter (where e.state = 'running') into stopped from ended as e;
  perform listener.stop(stopped);
end $$;
