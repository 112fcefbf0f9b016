-- What Supabase Realtime keeps in a project's database, as far as clients and policies meet it, and at its end the
-- stand-in's own eyes. Run as a superuser, in a database where anon, authenticated and service_role exist.
-- `app` stands for Supabase's role `postgres`.

do $$ begin
  create role supabase_realtime_admin nologin noinherit;
exception when duplicate_object or unique_violation then null; -- another database of this cluster was quicker
end $$;

do $$ begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    alter publication supabase_realtime owner to app;
  end if;
end $$;

create schema realtime;
grant usage on schema realtime to app, anon, authenticated, service_role, supabase_realtime_admin;

create table realtime.messages (
  topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
  updated_at timestamp not null default now(), inserted_at timestamp not null default now(),
  id uuid not null default gen_random_uuid(), binary_payload bytea, primary key (id, inserted_at)
) partition by range (inserted_at);
alter table realtime.messages enable row level security;
alter table realtime.messages owner to supabase_realtime_admin;
grant select, insert, update on realtime.messages to app, anon, authenticated, service_role;
-- For what `postgres` may because of BYPASSRLS, and because supautils lets it make policies here.
grant supabase_realtime_admin to app;

do $$
declare day date;
begin
  for day in select generate_series(current_date - 1, current_date + 3, '1 day') loop
    execute format('create table realtime.%I partition of realtime.messages for values from (%L) to (%L)',
      'messages_' || to_char(day, 'YYYY_MM_DD'), day, day + 1);
  end loop;
end $$;

create function realtime.topic() returns text language sql stable
as $$ select nullif(current_setting('realtime.topic', true), '') $$;

create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
language plpgsql
as $$
declare id uuid := gen_random_uuid();
begin
  begin
    if not payload ? 'id' then
      payload := jsonb_set(payload, '{id}', to_jsonb(id));
    end if;
    execute format('set local realtime.topic to %L', topic);
    insert into realtime.messages (id, payload, event, topic, private, extension)
    values (id, payload, event, topic, private, 'broadcast');
  exception when others then
    raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
  end;
end $$;

-- What the stand-in sees: the changes in the order of their commits, from a slot that ends with its session.
create schema stand_in;
grant usage on schema stand_in to app;

create function stand_in.watch(slot text) returns void language sql security definer
as $$ select pg_create_logical_replication_slot(slot, 'test_decoding', true) $$;

create function stand_in.forget(slot text) returns void language sql security definer
as $$ select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = slot $$;

create function stand_in.changes(slot text) returns setof text language sql security definer
as $$ select data from pg_logical_slot_get_changes(slot, null, null, 'include-xids', '0', 'skip-empty-xacts', '1') $$;
