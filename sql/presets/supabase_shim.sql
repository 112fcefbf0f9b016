-- Preset: the part of Supabase's schema `auth` and the roles that its tables and policies need on a plain Postgres: for
-- the demo, development and tests. Never run it on Supabase, which has the real ones. Running it again changes nothing.

do $$
declare
  wanted record;
begin
  -- The role alone proves nothing: it belongs to the whole cluster, which may have plain databases, too.
  if exists (
    select from pg_catalog.pg_namespace as n
    where n.nspname = 'auth' and n.nspowner::regrole::text = 'supabase_auth_admin'
  ) then
    raise exception 'this is a Supabase project; it does not need the preset supabase_shim';
  end if;
  for wanted in
    select *
    from (values ('anon', 'nobypassrls'), ('authenticated', 'nobypassrls'), ('service_role', 'bypassrls'))
      as role (name, attribute)
    where to_regrole(role.name) is null
  loop
    begin
      execute format('create role %I nologin noinherit %s', wanted.name, wanted.attribute);
    exception
      when duplicate_object then null; -- another database of this cluster was quicker
      when insufficient_privilege then
        raise notice 'the role % is missing, and this role may not create it', wanted.name;
    end;
  end loop;
end
$$;

create schema if not exists auth;

create table if not exists auth.users (
  id uuid primary key default gen_random_uuid(),
  aud text default 'authenticated',
  role text default 'authenticated',
  email varchar(255),
  raw_app_meta_data jsonb,
  raw_user_meta_data jsonb,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);

-- jwt: the claims that the API gateway sets for the length of a request; null outside of one.
create or replace function auth.jwt() returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb;
$$;

create or replace function auth.uid() returns uuid
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid;
$$;

create or replace function auth.role() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), auth.jwt() ->> 'role');
$$;

create or replace function auth.email() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''), auth.jwt() ->> 'email');
$$;

-- The default grants of Supabase's projects: every role has access, and the policies decide.
do $$
declare
  visitor text;
begin
  for visitor in
    select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role')
  loop
    execute format('grant usage on schema public, auth to %I', visitor);
    execute format('grant all on all tables in schema public to %I', visitor);
    execute format('alter default privileges in schema public grant all on tables to %I', visitor);
    execute format('alter default privileges in schema public grant all on sequences to %I', visitor);
  end loop;
end
$$;
