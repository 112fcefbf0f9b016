-- complete: ends attempts well. Batch: [{"delivery", "fence", "columns": {name: value}, "warnings"?}].
-- The done word, the finish time and the handler's columns are written in one transaction with the delivery's end.
create or replace function listener.complete(batch jsonb) returns jsonb
language sql security definer set search_path = '' set row_security = off
as $$ select listener.settle('complete', batch) $$;

create or replace function listener.apply_complete(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = ''
as $$ begin return listener.finish('completed', batch, patient); end $$;

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

-- answer: what a verb says of each item: ok, lost (also for a delivery that is no longer there) or locked.
create or replace function listener.answer(batch jsonb, grips listener.grip[]) returns jsonb
language sql immutable set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('delivery', item->'delivery', 'outcome',
    case g.standing when 'held' then 'ok' when 'locked' then 'locked' else 'lost' end)), '[]')
  from jsonb_array_elements(batch) as item left join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
$$;
