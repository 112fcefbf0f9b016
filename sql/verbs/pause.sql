-- pause: stops claims from the queue until resume; running jobs go on. Returns whether it was not paused before.
create or replace function listener.pause(queue text) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.set_paused(pause.queue, true) $$;
