-- Preset: the operations whose progress an application shows (table operations).
-- Run it as the owner of the schema, in psql or the SQL editor; running it again changes nothing.

create table if not exists public.operations (
  id text primary key,
  status text not null check (status in ('pending', 'processing', 'complete', 'error')),
  progress integer not null default 0 check (progress >= 0 and progress <= 100),
  message text not null,
  result jsonb,
  error text,
  metadata jsonb,
  created_at bigint not null,
  updated_at bigint not null
);

create index if not exists idx_operations_status on public.operations (status);
create index if not exists idx_operations_updated_at on public.operations (updated_at);

-- Defaults for the columns that an INSERT leaves out.
alter table public.operations
  alter column status set default 'pending',
  alter column message set default '',
  alter column created_at set default (extract(epoch from clock_timestamp()) * 1000)::bigint,
  alter column updated_at set default (extract(epoch from clock_timestamp()) * 1000)::bigint;

-- Each change sets updated_at by the database's clock, not by the client's, and is announced to the clients that
-- follow the operation. A channel for each operation would be a secret that anybody may listen to; this one carries
-- only a hash of the id.
create or replace function public.operations_changed() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_when = 'BEFORE' then
    new.updated_at := greatest(old.updated_at, (extract(epoch from clock_timestamp()) * 1000)::bigint);
    return new;
  end if;
  perform pg_notify('operations', md5(new.id));
  return null;
end
$$;

create or replace trigger operations_touch before update on public.operations
  for each row execute function public.operations_changed();
create or replace trigger operations_tell after insert or update on public.operations
  for each row execute function public.operations_changed();

-- Deletes operations that nobody has touched for an hour. Running ones are touched every few minutes. Returns how many.
create or replace function public.cleanup_old_operations() returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  deleted_count integer;
begin
  delete from public.operations as o
  where o.updated_at < extract(epoch from clock_timestamp() - interval '1 hour') * 1000;
  get diagnostics deleted_count = row_count;
  return deleted_count;
end
$$;

-- Servers see all operations. A browser sees those whose metadata names its user, and changes none.
alter table public.operations enable row level security;

do $$
declare
  visitor text;
begin
  revoke all on function public.cleanup_old_operations() from public;
  foreach visitor in array array['anon', 'authenticated', 'service_role'] loop
    if to_regrole(visitor) is not null then
      execute format('revoke all on function public.cleanup_old_operations() from %I', visitor);
      execute format('revoke all on public.operations from %I', visitor);
    end if;
  end loop;
  if to_regrole('service_role') is not null then
    grant select, insert, update, delete on public.operations to service_role;
    grant execute on function public.cleanup_old_operations() to service_role;
  end if;
  if to_regrole('authenticated') is not null and to_regprocedure('auth.uid()') is not null then
    grant select on public.operations to authenticated;
    if not exists (
      select from pg_catalog.pg_policies as p
      where p.schemaname = 'public' and p.tablename = 'operations' and p.policyname = 'operations_select_policy'
    ) then
      create policy operations_select_policy on public.operations
        for select to authenticated using (metadata ->> 'user_id' = auth.uid()::text);
    end if;
  end if;

  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables)
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'operations'
    )
  then
    alter publication supabase_realtime add table public.operations;
  end if;

  -- Without pg_cron the service does this.
  if exists (select from pg_catalog.pg_extension where extname = 'pg_cron') then
    perform cron.schedule('cleanup-old-operations', '0 * * * *', 'select public.cleanup_old_operations()');
  end if;
end
$$;

select listener.attach(
  'public.operations',
  queue => 'operations',
  kind => 'metadata->>type',
  kinds => '{video_generation}',
  words => '{"ready": "pending", "running": "processing", "done": "complete", "failed": "error"}'
);

-- PostgREST learns of the new tables; not every project has an event trigger for that.
notify pgrst, 'reload schema';
