-- capture: ends the deliveries that a change of the user's rows makes invalid. The triggers call it with one entry for
-- each row that is gone or has another status word. It acts only where row and delivery disagree, so it leaves the
-- service's own writes alone, which change the delivery first. Rows that became ready are not its business: see
-- capture_ready_sql.
--   words: the rows' new words, each null for a row that is gone; null when all are gone.
create or replace function listener.capture(attachment int, keys text[], words text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
set enable_seqscan = off set jit = off
as $$
#variable_conflict use_column
declare
  a       listener.attachment;
  running text[];   -- keys of rows that show a running word
  over    text[];   -- keys of rows that are gone, or show neither the ready word nor a running one
  stopped int[];
begin
  select * into strict a from listener.attachment where id = capture.attachment;
  select array_agg(r.key) filter (where r.word = any(a.stages || a.running)),
         array_agg(r.key) filter (where r.word is null or r.word <> all(a.stages || array[a.ready, a.running]))
    into running, over from unnest(keys, words) as r(key, word);

  -- A row shows a running word while nobody here runs it: another program does.
  if running is not null then
    delete from listener.delivery as d
    where d.attachment = a.id and d.job_key = any(running) and d.state <> 'running';
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

-- insert_sql: the statement, up to its conflict clause, that makes deliveries of captured rows (see row_sql), all
-- ready.
create or replace function listener.insert_sql(a listener.attachment, origin text, rows text) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select format($insert$
  insert into listener.delivery as d (attachment, queue, job_key, state, priority, run_at, first_due, origin)
  select %s, r.queue, r.key, case when r.run_at > clock_timestamp() then 'scheduled' else 'waiting' end,
         coalesce(r.priority, 0), due.at, due.at, %L
  from %s as r cross join lateral (select greatest(r.run_at, clock_timestamp()) as at) as due
  where r.queue is not null$insert$, a.id, origin, rows)
$$;

-- restart_sql: the conflict clause for rows that became ready. When the row has a running delivery this is a restart:
-- the old attempt loses its fence. A broken delivery begins anew as well.
create or replace function listener.restart_sql() returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select $conflict$
  on conflict (attachment, job_key) do update
    set state = excluded.state, queue = excluded.queue, priority = excluded.priority, run_at = excluded.run_at,
        first_due = excluded.first_due, origin = excluded.origin, attempt = 0, fence = nextval('listener.fence'),
        word = null, worker = null, lease_until = null, checkpoint = null, snoozes = 0, error = null
    where d.state in ('running', 'broken')$conflict$
$$;

-- capture_ready_sql: the statement that captures rows that became ready. Returns two arrays of queues: those with
-- something to claim, and those in which a running attempt has lost its fence.
create or replace function listener.capture_ready_sql(a listener.attachment, origin text, rows text) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select format($capture$
  with captured as (%s%s
    returning d.queue, d.fence
  )
  select array_agg(distinct c.queue), array_agg(distinct c.queue) filter (where c.fence > 0)
  from captured as c$capture$,
    listener.insert_sql(a, origin, rows), listener.restart_sql())
$$;

-- capture_again: captures those of the rows that are ready, as an UPDATE to the ready word would.
create or replace function listener.capture_again(a listener.attachment, keys text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  woken   int[];
  stopped int[];
begin
  execute listener.capture_ready_sql(a, 'requeue', format(
    '(select %s from %s as r where r.%I = any($1::text[]::%s[]) and r.%I = %L)',
    listener.row_sql(a), a.table_name, a.key_column, a.key_type, a.status_column, a.ready))
    into woken, stopped using keys;
  perform listener.wake(a.wake, woken);
  perform listener.stop(stopped);
end $$;

-- reconcile_one: finds ready rows of one attachment that have no delivery, and missing or disabled triggers.
create or replace function listener.reconcile_one(a listener.attachment, most int) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  counts  jsonb;
  problem text;
begin
  execute format($sql$
    with ready as (
      select c.* from %2$s as r cross join lateral (select %1$s) as c
      where r.%3$I = %4$L and c.queue is not null
        and (select d.id from listener.delivery as d where d.attachment = %5$s and d.job_key = c.key limit 1) is null
      -- A row that somebody is changing waits for the next call: their trigger would not see this delivery.
      limit $1 for no key update of r skip locked
    ), captured as (
      %6$s on conflict do nothing returning queue
    ), counted as (
      select q.name, count(*) as found from captured as c join listener.queue as q on q.id = c.queue group by q.name
    )
    select jsonb_object_agg(name, found) from counted $sql$,
    listener.row_sql(a), a.table_name, a.status_column, a.ready, a.id, listener.insert_sql(a, 'reconcile', 'ready'))
    into counts using most;
  if counts is not null then
    perform listener.wake(a.wake, array(select q.id from listener.queue as q where counts ? q.name));
  end if;
  select format('%s of %s: only reconcile finds its rows; run attach again, or alter table … enable trigger',
           string_agg(format('the %s trigger is %s', event,
             case when t.oid is null then 'missing' else 'disabled' end), ', '), a.table_name)
    into problem
    from unnest(listener.captured_events()) as event
    left join pg_catalog.pg_trigger as t
      on t.tgrelid = to_regclass(a.table_name) and t.tgname = format('listener_%s_%s', event, a.id)
    where t.oid is null or t.tgenabled not in ('O', 'A') having count(*) > 0;
  return jsonb_build_object('queues', coalesce(counts, '{}'), 'problem', problem,
    'more', (select coalesce(sum(value::int), 0) >= most from jsonb_each_text(counts)));
end $$;
