-- capture: what a change of the user's rows means for their deliveries. Called by the triggers, with one
-- entry per row that is new, gone, or has another status word. It acts only where row and delivery disagree,
-- so the service's own writes, which change the delivery first, pass through it unnoticed.
--   words: the row's new word; null for a row that is gone.
create or replace function listener.capture(
  attachment int, keys text[], words text[], queues int[], priorities int[], run_ats timestamptz[], origin text
) returns void
language plpgsql security definer set search_path = '' set row_security = off set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  a       listener.attachment;
  moment  timestamptz := clock_timestamp();
  driven  text[];
  over    text[];
  woken   int[];
  stopped int[];
begin
  select * into strict a from listener.attachment where id = capture.attachment;

  if a.ready = any(words) then
    with captured as (
      insert into listener.delivery as d (attachment, queue, job_key, state, priority, run_at, first_due, origin)
      select a.id, r.queue, r.key, case when due.at > moment then 'scheduled' else 'waiting' end,
             coalesce(r.priority, 0), due.at, due.at, capture.origin
      from unnest(keys, words, queues, priorities, run_ats) as r(key, word, queue, priority, run_at)
      cross join lateral (select greatest(r.run_at, moment) as at) as due
      where r.word = a.ready and r.queue is not null
      -- A ready row whose job runs is a restart: the old attempt loses its fence.
      on conflict (attachment, job_key) do update
        set state = excluded.state, queue = excluded.queue, priority = excluded.priority,
            run_at = excluded.run_at, first_due = excluded.first_due, origin = excluded.origin,
            attempt = 0, fence = nextval('listener.fence'), word = null, worker = null, lease_until = null,
            checkpoint = null, snoozes = 0, error = null
        where d.state in ('running', 'broken')
      returning d.queue, d.fence
    )
    select array_agg(distinct c.queue), array_agg(distinct c.queue) filter (where c.fence > 0)
      into woken, stopped from captured as c;
    perform listener.wake(a.wake, woken);
    perform listener.stop(stopped);
  end if;

  select array_agg(r.key) filter (where r.word = any(a.stages || a.running)),
         array_agg(r.key) filter (where r.word is null or r.word <> all(a.stages || array[a.ready, a.running]))
    into driven, over from unnest(keys, words) as r(key, word);

  -- Somebody else drives a row that shows a running word while nobody here does.
  if driven is not null then
    delete from listener.delivery as d
    where d.attachment = a.id and d.job_key = any(driven) and d.state <> 'running';
  end if;

  if over is not null then
    with ended as (
      delete from listener.delivery as d where d.attachment = a.id and d.job_key = any(over)
      returning d.*
    ), noted as (
      insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
      select e.queue, e.job_key, e.attempt, e.fence, e.worker, 'cancelled',
             case when r.word is null then 'the row was deleted'
                  when r.word in (a.done, a.failed, a.cancelled) then format('the row was set to %L', r.word)
                  else format('the row was set to %L, which is no status word of %s', r.word, a.name) end,
             case when e.state = 'running' then e.claimed_at end
      from ended as e join unnest(keys, words) as r(key, word) on r.key = e.job_key
    )
    select array_agg(distinct e.queue) filter (where e.state = 'running') into stopped from ended as e;
    perform listener.stop(stopped);
  end if;
end $$;

-- wake: tells every listening process, once per transaction, that a queue has something to claim.
create or replace function listener.wake(wake text, queues int[]) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  if wake in ('notify', 'both') then
    perform pg_notify('listener_wake', q.name) from listener.queue as q where q.id = any(queues);
  end if;
  if wake in ('realtime', 'both') then
    perform listener.broadcast('wake', queues);
  end if;
end $$;

-- stop: tells them to ask at once, by a heartbeat, which of their jobs of a queue they have lost.
create or replace function listener.stop(queues int[]) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  if queues is not null then
    perform pg_notify('listener_stop', q.name) from listener.queue as q where q.id = any(queues);
    perform listener.broadcast('stop', array(
      select q.id from listener.queue as q join listener.attachment as a on a.id = q.attachment
      where q.id = any(queues) and a.wake in ('realtime', 'both')));
  end if;
end $$;
