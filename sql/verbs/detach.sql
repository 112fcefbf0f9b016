-- detach: drops the triggers of a table and forgets its queues; the rows stay as they are. Works also when the table
-- is gone. Returns {"queue", "deliveries"}, the number of unfinished jobs that it forgot, or null when nothing was
-- attached.
create or replace function listener.detach(queue text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set jit = off
as $$
declare
  a     listener.attachment;
  gone  int;
  event text;
begin
  select * into a from listener.attachment as t where t.name = detach.queue for update;
  if not found then
    return null;
  end if;
  for try in 1 .. 3 loop
    begin
      perform listener.unguard(a.name);
      -- Dropping its function drops each trigger, even when the table was renamed.
      foreach event in array listener.captured_events() loop
        execute format('drop function if exists listener.%I() cascade', format('capture_%s_%s', event, a.id));
      end loop;
      exit;
    exception when lock_not_available then
      perform listener.retry_lock(a.table_name, try, 'detach');
    end;
  end loop;
  delete from listener.delivery as d where d.attachment = a.id;
  get diagnostics gone = row_count;
  delete from listener.attempt as t where t.queue in (select q.id from listener.queue as q where q.attachment = a.id);
  delete from listener.attachment as t where t.id = a.id;
  perform listener.generate_take();
  return jsonb_build_object('queue', a.name, 'deliveries', gone);
end $$;
