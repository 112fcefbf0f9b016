-- backlog: how many jobs of a queue could start now; a number even for an empty queue, as autoscalers want it.
create or replace function listener.backlog(queue text) returns bigint
language sql stable security definer set search_path = ''
as $$
  select count(*) from listener.delivery as d join listener.queue as q on q.id = d.queue
  where q.name = backlog.queue and (d.state = 'waiting' or d.state = 'scheduled' and d.run_at <= now());
$$;
