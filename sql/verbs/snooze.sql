-- snooze: gives jobs back for later; nothing went wrong, so no attempt is counted and the row keeps its word.
-- Batch: [{"delivery", "fence", "delay"}], the delay in seconds.
create or replace function listener.snooze(batch jsonb) returns jsonb
language sql security definer set search_path = ''
as $$ select listener.each('snooze', batch) $$;

create or replace function listener.apply_snooze(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = ''
as $$ begin return listener.give_back(batch, patient); end $$;

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
