-- rescue: gives back the jobs whose lease ended without a heartbeat, and fails those whose attempts are spent.
-- One process at a time; answers [{"queue", "key", "worker", "spent"}].
create or replace function listener.rescue(most int default 500) returns jsonb
language plpgsql security definer set search_path = '' set row_security = off set enable_seqscan = off set lock_timeout = '300ms'
as $$
declare
  expired bigint[];
  again   bigint[];
  spent   jsonb;
  answer  jsonb;
  woken   int[];
begin
  if not pg_try_advisory_xact_lock(hashtext('listener.rescue')) then
    return '[]';
  end if;
  expired := array(select d.id from listener.delivery as d
                   where d.state = 'running' and d.lease_until < clock_timestamp() order by d.id limit most for update skip locked);
  if cardinality(expired) = 0 then
    return '[]';
  end if;
  select array_agg(d.id) filter (where d.attempt < q.max_attempts),
         jsonb_agg(jsonb_build_object('delivery', d.id, 'fence', d.fence, 'error', format(
           'the worker died or lost its connection in the last of %s attempts', q.max_attempts))) filter (where d.attempt >= q.max_attempts),
         jsonb_agg(jsonb_build_object('queue', q.name, 'key', d.job_key, 'worker', d.worker, 'spent', d.attempt >= q.max_attempts))
    into again, spent, answer
    from listener.delivery as d join listener.queue as q on q.id = d.queue where d.id = any(expired);

  with returned as (
    update listener.delivery as d
    set state = 'waiting', worker = null, lease_until = null, run_at = clock_timestamp()
    from listener.delivery as old where old.id = d.id and d.id = any(again)
    returning d.queue, d.job_key, d.attempt, d.fence, old.worker, old.claimed_at
  ), noted as (
    insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
    select r.queue, r.job_key, r.attempt, r.fence, r.worker, 'lost', 'the lease ended without a heartbeat', r.claimed_at
    from returned as r
  )
  select array_agg(distinct r.queue) into woken from returned as r;
  perform listener.wake_queues(woken);
  if spent is not null then
    perform listener.settle('fail', spent);
  end if;
  return answer;
end $$;
