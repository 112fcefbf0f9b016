-- A Supabase project's database before its user has made anything: roles, schemas, `auth`, who may do what by default,
-- the publication. Run as a superuser, in a fresh database that belongs to the role that plays Supabase's `postgres`
-- (the owner, who is no superuser). Projects made before 2026 grant everything in `public` to the roles of the API by
-- default: set stand_in.auto_expose = 'on' before.

do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      ('anon', 'nologin noinherit'), ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls'), ('authenticator', 'login noinherit'),
      ('supabase_auth_admin', 'login noinherit createrole'), ('supabase_storage_admin', 'login noinherit createrole')
    ) as role (name, attributes)
    where to_regrole(role.name) is null
  loop
    begin
      execute format('create role %I %s', wanted.name, wanted.attributes);
    exception when duplicate_object or unique_violation then null; -- another database of this cluster was quicker
    end;
  end loop;
end $$;

grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;
create schema extensions;
grant usage on schema extensions to public;
create function extensions.uuid_generate_v4() returns uuid language sql as $$ select gen_random_uuid() $$;

-- Of auth, the functions that policies call, and the table that users' tables refer to.
create schema auth authorization supabase_auth_admin;
set role supabase_auth_admin;

create table auth.users (
  id uuid primary key, instance_id uuid, aud varchar(255), role varchar(255), email varchar(255),
  encrypted_password varchar(255), email_confirmed_at timestamptz, last_sign_in_at timestamptz,
  raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean, created_at timestamptz,
  updated_at timestamptz, phone text, is_anonymous boolean not null default false, deleted_at timestamptz
);

create function auth.jwt() returns jsonb language sql stable
as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb;
$$;
create function auth.uid() returns uuid language sql stable
as $$ select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid $$;
create function auth.role() returns text language sql stable
as $$ select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), auth.jwt() ->> 'role') $$;
create function auth.email() returns text language sql stable
as $$ select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''), auth.jwt() ->> 'email') $$;

grant usage on schema auth to anon, authenticated, service_role;
reset role;

do $$
declare
  kind  text;
  owner name := (select d.datdba::regrole from pg_database as d where d.datname = current_database());
begin
  execute format('alter database %I set search_path = "$user", public, extensions', current_database());
  execute format('grant usage on schema auth to %I; grant all on auth.users to %1$I', owner);
  execute format('grant anon, authenticated, service_role to %I', owner);
  if current_setting('stand_in.auto_expose', true) = 'on' then
    foreach kind in array '{tables, functions, sequences}'::text[] loop
      execute format('alter default privileges for role %I in schema public grant all on %s to anon, authenticated, service_role',
        owner, kind);
    end loop;
  end if;
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    execute format('alter publication supabase_realtime owner to %I', owner);
  end if;
end $$;
