-- retry: gives jobs back after a failed attempt. Batch: [{"delivery", "fence", "error", "kind"?, "delay"?,
-- "warnings"?, "keep"?}], the delay in seconds. Without a delay it is the queue's exponential backoff with full jitter, at
-- most ten minutes: a random share of backoff * 2^(attempt - 1). A job without an attempt left fails instead (outcome
-- `spent`). The row shows the ready word again, or stays at the stage that it had reached,
-- or, with "keep", at its running word.
create or replace function listener.retry(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$ select listener.settle('retry', batch) $$;

create or replace function listener.apply_retry(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  a        listener.attachment;
  attempts listener.locked_attempt[];
  spent    jsonb;
  again    jsonb;
  outcomes jsonb;
begin
  select array_agg(l) into attempts from listener.lock_attempts(batch, patient) as l;
  select jsonb_agg(h.item) filter (where h.attempt >= q.max_attempts),
         jsonb_agg(h.item) filter (where h.attempt < q.max_attempts)
    into spent, again
    from listener.held(batch, attempts) as h join listener.queue as q on q.id = h.queue;

  outcomes := listener.outcomes(batch, attempts);
  if spent is not null then
    perform listener.finish('failed', spent, patient);
    outcomes := (
      select jsonb_agg(case when spent @> jsonb_build_array(jsonb_build_object('delivery', o->'delivery'))
        then o || '{"outcome": "spent"}' else o end)
      from jsonb_array_elements(outcomes) as o);
  end if;
  if again is null then
    return outcomes;
  end if;

  insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, warnings, started_at)
  select h.queue, h.job_key, h.attempt, h.fence, h.worker, 'retried', h.item->>'error', h.item->'warnings', h.claimed_at
  from listener.held(again, attempts) as h;

  for a in select * from listener.attachment as t where t.id in (select l.attachment from unnest(attempts) as l) loop
    update listener.delivery as d
    set state = 'scheduled', worker = null, lease_until = null,
        run_at = clock_timestamp() + make_interval(secs => coalesce(
          (select (h.item->>'delay')::float8 from listener.held(again, attempts) as h where h.delivery = d.id),
          random() * least(600, extract(epoch from q.backoff) * 2 ^ least(d.attempt - 1, 20)))),
        word = case when d.word = any(a.stages) and d.word <> a.stages[1] or again @> '[{"keep": true}]' then d.word
                    else a.ready end
    from listener.queue as q
    where q.id = d.queue and d.attachment = a.id
      and d.id = any(array(select h.delivery from listener.held(again, attempts) as h));
    perform listener.write_rows(a, (
      select jsonb_agg(jsonb_build_object('key', h.job_key, 'columns',
        listener.state_columns(a, jsonb_build_object('status', a.ready))))
      from listener.held(again, attempts) as h
      where h.attachment = a.id and not h.item ? 'keep' and not (h.word = any(a.stages) and h.word <> a.stages[1])));
    perform listener.wake(a.wake, array(select l.queue from unnest(attempts) as l where l.attachment = a.id));
  end loop;
  return outcomes;
end $$;
