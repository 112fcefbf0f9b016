-- register: makes a live process known. slots: {"queue": slots}. Answers, of each queue that it serves, what its
-- handler must know: [{"queue", "columns": [name], "result": name or null, "progress", "stages"}].
create or replace function listener.register(worker text, host text, version text, slots jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  insert into listener.worker (id, host, version, slots) values (worker, host, version, slots)
  on conflict (id) do update set seen_at = clock_timestamp(), slots = excluded.slots;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('queue', q.name, 'table', a.table_name, 'stages', a.stages,
      'result', a.columns->'result'->>'name', 'columns', array(
        select c.attname from pg_catalog.pg_attribute as c
        where c.attrelid = to_regclass(a.table_name) and c.attnum > 0 and not c.attisdropped order by c.attnum))), '[]')
    from listener.queue as q join listener.attachment as a on a.id = q.attachment where register.slots ? q.name);
end $$;

-- unregister: forgets a process that ends well.
create or replace function listener.unregister(worker text) returns void
language sql security definer set search_path = ''
as $$ delete from listener.worker as w where w.id = unregister.worker $$;
