select listener.drop_functions('{topic}');  -- an earlier version had a channel for each queue

-- broadcast: sends an event, wake or stop, of these queues to the processes that listen through Supabase Realtime, once
-- per transaction. It never raises, because it runs in a user's statement. All queues share one channel, because a
-- connection may have at most 100. client_min_messages: realtime.send turns its errors into warnings, which the user's
-- client must not see.
create or replace function listener.broadcast(event text, queues int[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = error set jit = off
as $$
declare
  queue  text;
  -- The setting ends with the transaction, or with a savepoint that is rolled back, as the messages do.
  sent   text := coalesce(current_setting('listener.sent', true), '');
  before text := coalesce(current_setting('realtime.topic', true), '');
begin
  if coalesce(cardinality(queues), 0) = 0 or not listener.can_send() then
    return;
  end if;
  for queue in select q.name from listener.queue as q where q.id = any(queues) loop
    if strpos(sent, format(' %s %L ', event, queue)) = 0 then
      perform realtime.send(jsonb_build_object('queue', queue), event, 'listener:events', true);
      sent := format('%s %s %L ', sent, event, queue);
    end if;
  end loop;
  perform set_config('listener.sent', sent, true);
  -- realtime.send has changed it, and the user's policies may read it.
  perform set_config('realtime.topic', before, true);
exception when others then
  raise warning 'listener could not send to Realtime: %', sqlerrm;
end $$;

-- can_send: whether a message can be sent now. Realtime creates the partitions of the days ahead while clients are
-- connected. After some days without one there is no partition, and no process that would receive the message.
create or replace function listener.can_send() returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  messages oid;
begin
  if not listener.has_realtime() then
    return false;
  end if;
  messages := to_regclass('realtime.messages');
  -- The partition of today by its usual name, because that is fast; otherwise by its bounds.
  return to_regclass('realtime.messages_' || to_char(localtimestamp, 'YYYY_MM_DD')) is not null
    or exists (select from pg_catalog.pg_class as c where c.oid = messages and c.relkind <> 'p')
    or exists (
      select from pg_catalog.pg_inherits as i join pg_catalog.pg_class as c on c.oid = i.inhrelid
      cross join pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bounds(text)
      cross join regexp_match(bounds.text, $re$FROM \('([^']+)'\) TO \('([^']+)'\)$re$) as range(ends)
      where i.inhparent = messages and (bounds.text = 'DEFAULT'
        or localtimestamp >= range.ends[1]::timestamp and localtimestamp < range.ends[2]::timestamp));
end $$;

-- has_realtime: whether this database can send messages through Supabase Realtime.
create or replace function listener.has_realtime() returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  -- Without usage of the schema, to_regprocedure raises an error.
  select coalesce(case when has_schema_privilege(to_regnamespace('realtime')::oid, 'usage')
    then to_regprocedure('realtime.send(jsonb,text,text,boolean)') is not null end, false)
$$;
