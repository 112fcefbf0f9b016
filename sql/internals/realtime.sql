-- broadcast: tells the processes that listen through Supabase Realtime of these queues, once per transaction: `event`
-- is wake or stop. Never raises, for its caller is a user's statement.
create or replace function listener.broadcast(event text, queues int[]) returns void
language plpgsql security definer set search_path = ''
as $$
declare
  queue  text;
  -- Forgotten with the transaction, and with a savepoint that is rolled back, just as the messages are.
  said   text := coalesce(current_setting('listener.said', true), '');
  before text := coalesce(current_setting('realtime.topic', true), '');
begin
  if coalesce(cardinality(queues), 0) = 0 or not listener.has_realtime() then
    return;
  end if;
  for queue in select q.name from listener.queue as q where q.id = any(queues) loop
    if strpos(said, format(' %s %s ', event, listener.topic(queue))) = 0 then
      perform realtime.send(jsonb_build_object('queue', queue), event, listener.topic(queue), true);
      said := format('%s %s %s ', said, event, listener.topic(queue));
    end if;
  end loop;
  perform set_config('listener.said', said, true);
  -- Which send has changed, and the user's own policies may read.
  perform set_config('realtime.topic', before, true);
exception when others then
  raise warning 'listener could not tell Realtime: %', sqlerrm;
end $$;

-- topic: the private channel of a queue. A name that is long or odd is told by its digest.
create or replace function listener.topic(queue text) returns text
language sql immutable set search_path = ''
as $$ select 'listener:' || case when queue ~ '^[A-Za-z0-9_./-]{1,100}$' then queue else md5(queue) end $$;

-- has_realtime: whether this database can send messages through Supabase Realtime.
create or replace function listener.has_realtime() returns boolean
language sql stable set search_path = ''
as $$
  -- A schema that may not be used must not even be asked.
  select coalesce(case when has_schema_privilege(to_regnamespace('realtime')::oid, 'usage')
    then to_regprocedure('realtime.send(jsonb,text,text,boolean)') is not null end, false)
$$;
