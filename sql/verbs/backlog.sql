-- backlog: the number of jobs of a queue that could start now; 0 for a queue without jobs, as autoscalers need it.
create or replace function listener.backlog(queue text) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select count(*) from listener.delivery as d join listener.queue as q on q.id = d.queue
  where q.name = backlog.queue and (d.state = 'waiting' or d.state = 'scheduled' and d.run_at <= now());
$$;
