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

-- capture_again: captures rows by their keys as an UPDATE to the ready word would.
create or replace function listener.capture_again(a listener.attachment, keys text[]) returns void
language plpgsql set search_path = '' set enable_seqscan = off
as $$
begin
  execute format('select listener.capture(%s, array_agg(c.key), array_agg(c.word), array_agg(c.queue), array_agg(c.priority),'
    ' array_agg(c.run_at), %L) from (select %s from %s as r where r.%I = any($1::text[]::%s[])) as c having count(*) > 0',
    a.id, 'requeue', listener.row_sql(a), a.table_name, a.key_column, a.key_type) using keys;
end $$;

create or replace function listener.reconcile_one(a listener.attachment, most int) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  found     jsonb;
  problem   text;
begin
  execute format($sql$
    with ready as (
      select c.* from %2$s as r cross join lateral (select %1$s) as c
      where r.%3$I = %4$L and c.queue is not null
        and (select d.id from listener.delivery as d where d.attachment = %5$s and d.job_key = c.key limit 1) is null
      -- A row that somebody is changing waits for the next time: their trigger would not see this delivery.
      limit $1 for no key update of r skip locked
    ), captured as (
      %6$s on conflict do nothing returning queue
    ), counted as (
      select q.name, count(*) as found from captured as c join listener.queue as q on q.id = c.queue group by q.name
    )
    select jsonb_object_agg(name, found) from counted $sql$,
    listener.row_sql(a), a.table_name, a.status_column, a.ready, a.id, listener.insert_sql(a, 'reconcile', 'ready'))
    into found using most;
  if found is not null then
    perform listener.wake(a.wake, array(select q.id from listener.queue as q where found ? q.name));
  end if;
  select format('%s of %s: its rows are heard only by reconcile; run attach again, or alter table … enable trigger',
                string_agg(format('the %s trigger is %s', op, case when t.oid is null then 'missing' else 'disabled' end), ', '), a.table_name)
    into problem
    from unnest(listener.captured()) as op
    left join pg_catalog.pg_trigger as t
      on t.tgrelid = to_regclass(a.table_name) and t.tgname = format('listener_%s_%s', op, a.id)
    where t.oid is null or t.tgenabled not in ('O', 'A') having count(*) > 0;
  return jsonb_build_object('queues', coalesce(found, '{}'), 'problem', problem,
    'more', (select coalesce(sum(value::int), 0) >= most from jsonb_each_text(found)));
end $$;

-- insert_sql: the statement, but for its conflicts, that makes deliveries of captured rows, which `ready` stands for.
create or replace function listener.insert_sql(a listener.attachment, origin text, ready text) returns text
language sql stable set search_path = ''
as $$
  select format($insert$
  insert into listener.delivery as d (attachment, queue, job_key, state, priority, run_at, first_due, origin)
  select %s, r.queue, r.key, case when r.run_at > clock_timestamp() then 'scheduled' else 'waiting' end,
         coalesce(r.priority, 0), due.at, due.at, %L
  from %s as r cross join lateral (select greatest(r.run_at, clock_timestamp()) as at) as due
  where r.queue is not null$insert$, a.id, origin, ready)
$$;
