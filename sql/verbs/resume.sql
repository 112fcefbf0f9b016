-- resume: ends a pause. Returns whether there was one.
create or replace function listener.resume(queue text) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.set_paused(resume.queue, false) $$;
