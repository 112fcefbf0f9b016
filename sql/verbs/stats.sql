-- stats: the state of the whole fleet, for metrics, health and the command line.
-- Returns {"queues": [{queue, table, paused, waiting, scheduled, running, broken, oldest, expired, workers, slots}],
-- "notify_usage"}. oldest is the age in seconds of the job that has waited longest; workers are the live processes that
-- serve the queue. With a worker it returns null unless this is the oldest or the youngest live process. These two
-- publish the numbers of the fleet, so the numbers stay when one of them dies, also if it is replaced again and again.
-- Others count as live for 30 seconds, three times the precision of seen_at.
create or replace function listener.stats(worker text default null) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set statement_timeout = '2s' set jit = off
as $$
  with depth as (
    select d.queue,
           count(*) filter (where d.state = 'waiting') as waiting,
           count(*) filter (where d.state = 'scheduled') as scheduled,
           count(*) filter (where d.state = 'running') as running,
           count(*) filter (where d.state = 'broken') as broken,
           min(d.run_at) filter (where d.state = 'waiting') as oldest,
           count(*) filter (where d.lease_until < now()) as expired
    from listener.delivery as d group by d.queue
  ), live as (
    select w.id, w.started_at from listener.worker as w
    where w.seen_at > now() - interval '30 seconds' or w.id = stats.worker
  ), serving as (
    select s.key as name, count(*) as workers, sum(s.value::int) as slots
    from listener.worker as w cross join lateral jsonb_each_text(w.slots) as s
    where w.seen_at > now() - interval '100 seconds' group by s.key
  )
  select case when stats.worker is null or stats.worker in (
      (select l.id from live as l order by l.started_at, l.id limit 1),
      (select l.id from live as l order by l.started_at desc, l.id desc limit 1))
    then jsonb_build_object('notify_usage', pg_notification_queue_usage(), 'queues', coalesce(
    jsonb_agg(jsonb_build_object(
      'queue', q.name, 'table', a.table_name, 'paused', q.paused,
      'waiting', coalesce(d.waiting, 0), 'scheduled', coalesce(d.scheduled, 0),
      'running', coalesce(d.running, 0), 'broken', coalesce(d.broken, 0),
      'oldest', coalesce(extract(epoch from now() - d.oldest), 0), 'expired', coalesce(d.expired, 0),
      'workers', coalesce(s.workers, 0), 'slots', coalesce(s.slots, 0)) order by q.name), '[]')) end
  from listener.queue as q
  join listener.attachment as a on a.id = q.attachment
  left join serving as s on s.name = q.name
  left join depth as d on d.queue = q.id
$$;
