-- detach: takes the triggers off a table and forgets its queues; the rows stay as they are. Works when the table is
-- already gone. Answers {"queue", "deliveries"}: how many unfinished jobs were forgotten; null when nothing was attached.
create or replace function listener.detach(queue text) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '2s'
as $$
declare
  a    listener.attachment;
  gone int;
  op   text;
begin
  select * into a from listener.attachment as t where t.name = detach.queue for update;
  if not found then
    return null;
  end if;
  foreach op in array array['insert', 'update', 'delete'] loop
    if to_regclass(a.table_name) is not null then
      execute format('drop trigger if exists %I on %s', format('listener_%s_%s', op, a.id), a.table_name);
    end if;
    execute format('drop function if exists listener.%I()', format('capture_%s_%s', op, a.id));
  end loop;
  delete from listener.delivery as d where d.attachment = a.id;
  get diagnostics gone = row_count;
  delete from listener.attempt as t where t.queue in (select q.id from listener.queue as q where q.attachment = a.id);
  delete from listener.attachment as t where t.id = a.id;
  return jsonb_build_object('queue', a.name, 'deliveries', gone);
end $$;
