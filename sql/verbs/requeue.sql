-- requeue: lets jobs run again from the start, in any status of their rows. Attempts count from 0, and there is no
-- checkpoint. A job that runs now is restarted. Returns the number of these rows that the queue has.
create or replace function listener.requeue(queue text, keys text[]) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp set row_security = off set lock_timeout = '300ms' set enable_seqscan = off
set jit = off
as $$
declare
  a       listener.attachment;
  present text[];
begin
  a := listener.attached(requeue.queue);
  present := array(select jsonb_object_keys(
    listener.lock_rows_or_raise(a, listener.keys_of_queue(a, requeue.queue, keys))));
  perform listener.end_deliveries(a, present, 'requeued', '{running}');
  perform listener.write_rows(a, (
    select jsonb_agg(jsonb_build_object('key', key, 'columns', listener.state_columns(a, jsonb_build_object(
      'status', a.ready, 'progress', 0, 'error', null, 'finished_at', null))))
    from unnest(present) as key));
  -- The trigger has captured the rows whose word changed; this captures those that showed the ready word before.
  perform listener.capture_again(a, present);
  return cardinality(present);
end $$;
