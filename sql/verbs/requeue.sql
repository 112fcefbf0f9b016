-- requeue: lets jobs run again from the start, whatever word their rows show: attempts 0, no checkpoint. A job that
-- runs now is restarted. Answers the number of rows that were found in that queue.
create or replace function listener.requeue(queue text, keys text[]) returns int
language plpgsql security definer set search_path = '' set row_security = off set lock_timeout = '300ms' set enable_seqscan = off set jit = off
as $$
declare
  a   listener.attachment;
  got jsonb;
begin
  a := listener.attached(requeue.queue);
  got := listener.insist(a, listener.of_queue(a, requeue.queue, keys));
  perform listener.forget(a, array(select jsonb_object_keys(got)), 'requeued', '{running}');
  perform listener.write_rows(a, (select jsonb_agg(jsonb_build_object('key', key, 'columns', listener.paint(a, jsonb_build_object(
    'status', a.ready, 'progress', 0, 'error', null, 'finished_at', null)))) from jsonb_object_keys(got) as key));
  -- The trigger has captured rows whose word changed; ready rows that stayed ready are captured here.
  perform listener.capture_again(a, array(select jsonb_object_keys(got)));
  return (select count(*) from jsonb_object_keys(got));
end $$;
