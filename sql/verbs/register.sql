-- register: makes a live process known. slots: {"queue": slots}, timeouts: {"queue": seconds}. Returns for each of its
-- queues that exists what the process must know: [{"queue", "table", "columns": [name], "result": name or null,
-- "tenant": name or null, "stages", "wake", "changes": [schema, table] or null}]; `changes` names the table when only
-- Realtime's postgres_changes can announce its new rows.
create or replace function listener.register(
  worker text, host text, version text, slots jsonb, timeouts jsonb default '{}'
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
  insert into listener.worker (id, host, version, slots, timeouts) values (worker, host, version, slots, timeouts)
  on conflict (id) do update
    set seen_at = clock_timestamp(), slots = excluded.slots, timeouts = excluded.timeouts;
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'queue', q.name, 'table', a.table_name, 'stages', a.stages, 'result', a.columns->'result'->>'name',
      'tenant', a.columns->'tenant'->>'name', 'wake', a.wake, 'changes', listener.changes(a),
      'columns', array(
        select c.attname from pg_catalog.pg_attribute as c
        where c.attrelid = to_regclass(a.table_name) and c.attnum > 0 and not c.attisdropped order by c.attnum))), '[]')
    from listener.queue as q join listener.attachment as a on a.id = q.attachment where register.slots ? q.name);
end $$;

-- changes: the schema and name of a table that sends no messages through Realtime but is published to it. A service
-- without a database connection can learn of its new rows in this way. Null for any other table.
create or replace function listener.changes(a listener.attachment) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_array(p.schemaname, p.tablename) from pg_catalog.pg_publication_tables as p
  where p.pubname = 'supabase_realtime' and format('%I.%I', p.schemaname, p.tablename) = a.table_name
    and a.wake = 'notify'
$$;
