-- job: one job in full: the row's word, progress, message and error, the row itself, its delivery, and its attempts,
-- oldest first. Returns null when the queue has no such row. `state` is ready, running, done, failed or cancelled.
create or replace function listener.job(queue text, key text) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set row_security = off
set enable_seqscan = off set jit = off
as $$
declare
  a    listener.attachment;
  seen jsonb;
  word text;
begin
  a := listener.attached(job.queue);
  begin
    execute format('select to_jsonb(t.*) from %s as t where t.%I = $1::%s', a.table_name, a.key_column, a.key_type)
      into seen using (listener.keys_of_queue(a, job.queue, array[job.key]))[1];
  exception when invalid_text_representation or numeric_value_out_of_range then
    null; -- a text that the key's type can't hold names no row
  end;
  if seen is null then
    return null;
  end if;
  word := seen->>a.status_column;
  return jsonb_build_object('queue', job.queue, 'key', job.key, 'word', word,
    'state', case when word = a.ready then 'ready' when word = any(a.stages || a.running) then 'running'
      when word = a.done then 'done' when word = a.failed then 'failed' when word = a.cancelled then 'cancelled' end,
    'progress', seen->(a.columns->'progress'->>'name'), 'message', seen->(a.columns->'message'->>'name'),
    'error', seen->(a.columns->'error'->>'name'), 'row', seen,
    'delivery', (select to_jsonb(d) from listener.delivery as d where d.attachment = a.id and d.job_key = job.key),
    'attempts', (
      select coalesce(jsonb_agg(to_jsonb(t.*) order by t.id), '[]') from listener.attempt as t
      where t.job_key = job.key and t.queue in (select q.id from listener.queue as q where q.attachment = a.id)));
end $$;
