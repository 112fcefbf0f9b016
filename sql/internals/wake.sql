-- wake: sends every listening process, once per transaction, the name of each queue that has something to claim.
create or replace function listener.wake(wake text, queues int[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
  if wake in ('notify', 'both') then
    perform pg_notify('listener_wake', q.name) from listener.queue as q where q.id = any(queues);
  end if;
  if wake in ('realtime', 'both') then
    perform listener.broadcast('wake', queues);
  end if;
end $$;

-- wake_queues: `wake` for queues of several attachments.
create or replace function listener.wake_queues(queues int[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select listener.wake(a.wake, array[q.id])
  from listener.queue as q join listener.attachment as a on a.id = q.attachment
  where q.id = any(wake_queues.queues);
$$;

-- stop: makes every process send a heartbeat at once, which returns those of its jobs of these queues that it has lost.
create or replace function listener.stop(queues int[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
  if queues is not null then
    perform pg_notify('listener_stop', q.name) from listener.queue as q where q.id = any(queues);
    perform listener.broadcast('stop', array(
      select q.id from listener.queue as q join listener.attachment as a on a.id = q.attachment
      where q.id = any(queues) and a.wake in ('realtime', 'both')));
  end if;
end $$;
