-- rescue: gives back the jobs whose lease ended without a heartbeat, and fails those without an attempt left.
-- One process at a time. Returns [{"queue", "key", "worker", "spent"}].
create or replace function listener.rescue(most int default 500) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp set row_security = off set enable_seqscan = off set lock_timeout = '300ms'
set jit = off
as $$
declare
  expired  bigint[];
  again    bigint[];
  spent    jsonb;
  outcomes jsonb;
  rescued  jsonb;
  woken    int[];
begin
  if not pg_try_advisory_xact_lock(hashtext('listener.rescue')) then
    return '[]';
  end if;
  expired := array(select d.id from listener.delivery as d
                   where d.state = 'running' and d.lease_until < clock_timestamp() order by d.id limit most);
  if cardinality(expired) = 0 then
    return '[]';
  end if;

  -- Deliveries that go back are locked without waiting, their rows not at all.
  again := array(select d.id from listener.delivery as d join listener.queue as q on q.id = d.queue
                 where d.id = any(expired) and d.attempt < q.max_attempts for no key update of d skip locked);
  with returned as (
    update listener.delivery as d
    set state = 'waiting', worker = null, lease_until = null, run_at = clock_timestamp()
    from listener.delivery as old
    where old.id = d.id and d.id = any(again) and d.state = 'running' and d.lease_until < clock_timestamp()
    returning d.queue, d.job_key, d.attempt, d.fence, old.worker, old.claimed_at
  ), noted as (
    insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
    select r.queue, r.job_key, r.attempt, r.fence, r.worker, 'lost', 'the lease ended without a heartbeat', r.claimed_at
    from returned as r
  )
  select array_agg(distinct r.queue), coalesce(jsonb_agg(jsonb_build_object(
           'queue', q.name, 'key', r.job_key, 'worker', r.worker, 'spent', false)), '[]')
    into woken, rescued from returned as r join listener.queue as q on q.id = r.queue;
  perform listener.wake_queues(woken);

  -- A job without an attempt left fails, its row locked before its delivery as always. One whose row is locked now is
  -- tried by the next rescue.
  select jsonb_agg(jsonb_build_object(
           'delivery', d.id, 'fence', d.fence, 'queue', q.name, 'key', d.job_key, 'worker', d.worker,
           'kind', 'WorkerLost', 'error', format(
             'the worker died or lost its connection in the last of %s attempts', q.max_attempts))
      || case when d.refusals >= 20 then '{"last": true}'::jsonb else '{}' end)
    into spent from listener.delivery as d join listener.queue as q on q.id = d.queue
    where d.id = any(expired) and d.state = 'running' and d.attempt >= q.max_attempts
      and d.lease_until < clock_timestamp();
  if spent is not null then
    outcomes := listener.settle('fail', spent);
    rescued := rescued || (
      select coalesce(jsonb_agg(jsonb_build_object(
        'queue', s->'queue', 'key', s->'key', 'worker', s->'worker', 'spent', true)), '[]')
      from jsonb_array_elements(spent) as s join jsonb_array_elements(outcomes) as o on o->'delivery' = s->'delivery'
      where o->>'outcome' not in ('locked', 'later', 'lost'));
    -- What the table refuses for now is tried again by a later rescue.
    update listener.delivery as d set lease_until = clock_timestamp() + interval '5 seconds', refusals = d.refusals + 1
    where d.id = any(array(
      select t.id from listener.delivery as t where t.state = 'running' and t.lease_until < clock_timestamp()
        and t.id in (select (o->>'delivery')::bigint from jsonb_array_elements(outcomes) as o
                     where o->>'outcome' = 'later')
      for no key update skip locked));
  end if;
  return rescued;
end $$;
