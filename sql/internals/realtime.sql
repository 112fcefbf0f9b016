-- broadcast: sends an event, wake or stop, of these queues to the processes that listen through Supabase Realtime, once
-- per transaction. It never raises, because it runs in a user's statement.
create or replace function listener.broadcast(event text, queues int[]) returns void
language plpgsql security definer set search_path = ''
as $$
declare
  queue  text;
  -- The setting ends with the transaction, or with a savepoint that is rolled back, as the messages do.
  sent   text := coalesce(current_setting('listener.sent', true), '');
  before text := coalesce(current_setting('realtime.topic', true), '');
begin
  if coalesce(cardinality(queues), 0) = 0 or not listener.has_realtime() then
    return;
  end if;
  for queue in select q.name from listener.queue as q where q.id = any(queues) loop
    if strpos(sent, format(' %s %s ', event, listener.topic(queue))) = 0 then
      perform realtime.send(jsonb_build_object('queue', queue), event, listener.topic(queue), true);
      sent := format('%s %s %s ', sent, event, listener.topic(queue));
    end if;
  end loop;
  perform set_config('listener.sent', sent, true);
  -- realtime.send has changed it, and the user's policies may read it.
  perform set_config('realtime.topic', before, true);
exception when others then
  raise warning 'listener could not send to Realtime: %', sqlerrm;
end $$;

-- topic: the private channel of a queue. A long or unusual name is replaced by its digest.
create or replace function listener.topic(queue text) returns text
language sql immutable set search_path = ''
as $$ select 'listener:' || case when queue ~ '^[A-Za-z0-9_./-]{1,100}$' then queue else md5(queue) end $$;

-- has_realtime: whether this database can send messages through Supabase Realtime.
create or replace function listener.has_realtime() returns boolean
language sql stable set search_path = ''
as $$
  -- Without usage of the schema, to_regprocedure raises an error.
  select coalesce(case when has_schema_privilege(to_regnamespace('realtime')::oid, 'usage')
    then to_regprocedure('realtime.send(jsonb,text,text,boolean)') is not null end, false)
$$;
