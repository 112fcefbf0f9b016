-- snooze: gives jobs back for later; nothing went wrong, so no attempt is counted and the row keeps its word.
-- Batch: [{"delivery", "fence", "delay"}], the delay in seconds.
create or replace function listener.snooze(batch jsonb) returns jsonb
language sql security definer set search_path = ''
as $$ select listener.give_back(batch) $$;

-- give_back: the common body of snooze and release: with a delay the job is due then, without one at once.
create or replace function listener.give_back(batch jsonb) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  item   jsonb;
  woken  int[] := '{}';
  queue  int;
  answer jsonb := '[]';
begin
  for item in select i from jsonb_array_elements(batch) as i order by (i->>'delivery')::bigint loop
    update listener.delivery as d
    set state = case when item ? 'delay' then 'scheduled' else 'waiting' end,
        run_at = clock_timestamp() + make_interval(secs => coalesce((item->>'delay')::float8, 0)),
        snoozes = d.snoozes + (item ? 'delay')::int, attempt = d.attempt - 1, worker = null, lease_until = null
    where d.id = (item->>'delivery')::bigint and d.fence = (item->>'fence')::bigint and d.state = 'running'
    returning d.queue into queue;
    answer := answer || jsonb_build_object('delivery', item->'delivery', 'outcome', case when found then 'ok' else 'lost' end);
    woken := woken || queue;
  end loop;
  perform listener.wake_queues(woken);
  return answer;
end $$;
