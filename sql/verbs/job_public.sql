-- glance: one job as `look` shows it, but without what its user and its handler keep in it: the row, and the checkpoint.
create or replace function listener.glance(queue text, key text) returns jsonb
language sql stable security definer set search_path = '' set row_security = off
as $$
  select (l.job - 'row') #- '{delivery,checkpoint}' || jsonb_build_object('max_attempts', (
    select q.max_attempts from listener.queue as q where q.name = glance.queue))
  from (select listener.look(glance.queue, glance.key)) as l(job)
$$;
