-- detach: takes the triggers off a table and forgets its queues; the rows stay as they are. Works when the table is
-- already gone. Answers {"queue", "deliveries"}: how many unfinished jobs were forgotten; null when nothing was attached.
create or replace function listener.detach(queue text) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '2s'
as $$
declare
  a    listener.attachment;
  gone int;
  n    int;
  op   text;
begin
  select * into a from listener.attachment as t where t.name = detach.queue for update;
  if not found then
    return null;
  end if;
  for n in 1 .. 5 loop
    begin
      perform listener.unguard(a.name);
      -- With its function each trigger goes too, whatever the table is called by now.
      foreach op in array listener.captured() loop
        execute format('drop function if exists listener.%I() cascade', format('capture_%s_%s', op, a.id));
      end loop;
      exit;
    exception when lock_not_available then
      if n = 5 then
        raise exception '% is busy: its triggers could not be dropped in % tries of two seconds', a.table_name, n
          using hint = 'Find the long transaction on the table in pg_stat_activity, and detach again.';
      end if;
      perform pg_sleep(0.2 * n * random());
    end;
  end loop;
  delete from listener.delivery as d where d.attachment = a.id;
  get diagnostics gone = row_count;
  delete from listener.attempt as t where t.queue in (select q.id from listener.queue as q where q.attachment = a.id);
  delete from listener.attachment as t where t.id = a.id;
  perform listener.generate_take();
  return jsonb_build_object('queue', a.name, 'deliveries', gone);
end $$;
