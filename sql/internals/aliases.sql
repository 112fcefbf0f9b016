-- The former names of verbs. They stay for one version; then this file goes.

-- former_verbs: the functions of this file that may be called from outside.
create or replace function listener.former_verbs() returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select '{look, glance}'::text[] $$;

-- look: the former name of job.
create or replace function listener.look(queue text, key text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.job(look.queue, look.key) $$;

-- glance: the former name of job_public.
create or replace function listener.glance(queue text, key text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.job_public(glance.queue, glance.key) $$;
