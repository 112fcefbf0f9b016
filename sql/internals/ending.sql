-- finish: the common body of complete and fail, and of retry when no attempt is left: writes history, ends the
-- delivery, and writes the final word. `outcome` is completed or failed.
create or replace function listener.finish(outcome text, batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  a        listener.attachment;
  attempts listener.locked_attempt[];
  state    jsonb;
begin
  select array_agg(l) into attempts from listener.lock_attempts(batch, patient) as l;

  delete from listener.delivery as d
  where d.id = any(array(select l.delivery from unnest(attempts) as l where l.standing = 'held'));
  insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, warnings, started_at)
  select h.queue, h.job_key, h.attempt, h.fence, h.worker, finish.outcome, h.item->>'error', h.item->'warnings',
         h.claimed_at
  from listener.held(batch, attempts) as h;

  for a in select * from listener.attachment as t where t.id in (select l.attachment from unnest(attempts) as l) loop
    -- The columns that are the same for all rows are made once.
    state := listener.state_columns(a, case finish.outcome
      when 'completed' then jsonb_build_object('status', a.done, 'progress', 100, 'finished_at', true)
      else jsonb_build_object('status', a.failed, 'finished_at', true) end);
    perform listener.write_rows(a, (
      select jsonb_agg(jsonb_build_object('key', h.job_key, 'columns', case when h.item->>'message' is null then '{}'
          else listener.state_columns(a, jsonb_build_object('message', h.item->'message')) end
        || coalesce(h.item->'columns', '{}') || state
        || case finish.outcome when 'failed' then listener.state_columns(a, jsonb_build_object(
             'error', jsonb_build_object('stage', h.word, 'error', coalesce(h.item->>'kind', 'Fail'),
               'message', h.item->'error', 'attempt', h.attempt))) else '{}' end))
      from listener.held(batch, attempts) as h where h.attachment = a.id));
  end loop;
  return listener.outcomes(batch, attempts);
end $$;

-- give_back: the common body of snooze and release. A job with a delay is due after it, without one at once.
create or replace function listener.give_back(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  attempts listener.locked_attempt[] := listener.lock_deliveries(batch, patient);
  woken    int[];
begin
  with given_back as (
    update listener.delivery as d
    set state = case when h.item ? 'delay' then 'scheduled' else 'waiting' end,
        run_at = clock_timestamp() + make_interval(secs => coalesce((h.item->>'delay')::float8, 0)),
        snoozes = d.snoozes + (h.item ? 'delay')::int, attempt = d.attempt - 1, worker = null, lease_until = null
    from listener.held(batch, attempts) as h
    where d.id = h.delivery and d.id = any(array(select l.delivery from unnest(attempts) as l))
    returning d.queue
  )
  select array_agg(distinct b.queue) into woken from given_back as b;
  perform listener.wake_queues(woken);
  return listener.outcomes(batch, attempts);
end $$;

-- end_deliveries: ends the deliveries of these rows, whose locks the caller holds, and makes their workers stop.
-- Deliveries in one of the states `noted` get an entry in the history.
create or replace function listener.end_deliveries(a listener.attachment, keys text[], why text, noted text[])
returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare stopped int[];
begin
  with ended as (
    delete from listener.delivery as d where d.attachment = a.id and d.job_key = any(keys) returning d.*
  ), history as (
    insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
    select e.queue, e.job_key, e.attempt, e.fence, e.worker, 'cancelled', why,
           case when e.state = 'running' then e.claimed_at end
    from ended as e where e.state = any(end_deliveries.noted)
  )
  select array_agg(distinct e.queue) filter (where e.state = 'running') into stopped from ended as e;
  perform listener.stop(stopped);
end $$;
