-- cancel: ends jobs that are not finished: their rows get the cancelled word, or the failed word when the table has no
-- cancelled word, and a worker that runs one stops at once. Returns the number of jobs that it cancelled; finished ones
-- stay as they are. Like requeue it leaves rows of the table's other queues alone.
create or replace function listener.cancel(queue text, keys text[], reason text default 'cancelled') returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp set row_security = off set lock_timeout = '300ms' set enable_seqscan = off
set jit = off
as $$
declare
  a     listener.attachment;
  words jsonb;
  open  text[];
begin
  a := listener.attached(cancel.queue);
  words := listener.lock_rows_or_raise(a, listener.keys_of_queue(a, cancel.queue, keys));
  open := array(select key from jsonb_each_text(words) as r(key, word)
                where word = any(a.stages || array[a.ready, a.running]));
  perform listener.end_deliveries(a, open, reason, '{waiting,scheduled,running,broken}');
  perform listener.write_rows(a, (
    select jsonb_agg(jsonb_build_object('key', key, 'columns', listener.state_columns(a, jsonb_build_object(
      'status', coalesce(a.cancelled, a.failed), 'error', reason, 'finished_at', true))))
    from unnest(open) as key));
  return cardinality(open);
end $$;
