-- pause: no job of the queue is claimed until resume; jobs that run go on. Answers whether it was not paused before.
create or replace function listener.pause(queue text) returns boolean
language sql security definer set search_path = ''
as $$ select listener.set_paused(pause.queue, true) $$;
