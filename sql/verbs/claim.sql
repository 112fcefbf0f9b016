-- claim: takes up to slots[i] jobs of queues[i] for a worker: due deliveries and their rows go from the ready word, or
-- from the word that the delivery itself last wrote, to running. It waits for nobody; `take` does the work. Returns
--   jobs    [{delivery, queue, key, fence, attempt, max_attempts, row, reached, saved, snoozes, waited, late, origin}]
--           waited: seconds since first due; late: seconds since due this time
--   misses  [{queue, key, why, error?}]  why: gone, word, locked, later, refused
--   more    true when the call ended before all slots were tried, because it had missed so much
-- A sweep also makes scheduled jobs that are due available, records that the worker is alive, and returns
--   next_due    seconds until the next scheduled job of these queues
--   next_lease  seconds until the next lease ends, of this worker or another; null when there is none
--   known       false when the worker is not registered (any more)
create or replace function listener.claim(
  worker text, queues text[], slots int[], lease interval default '20 seconds', sweep boolean default true
) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '300ms' set jit = off
as $$
declare
  moment     timestamptz := clock_timestamp();  -- as a value it can bound a scan of the index, as a call it could not
  free       int;
  began      timestamptz;
  more       boolean := false;
  candidates bigint[];
  taken      jsonb;
  missed     jsonb;
  jobs       jsonb := '[]';
  misses     jsonb := '[]';
  next_due   timestamptz;
  next_lease timestamptz;
begin
  for i in 1 .. cardinality(queues) loop
    continue when slots[i] <= 0;
    if sweep then
      candidates := array(
        select d.id from listener.delivery as d
        where d.queue = (select q.id from listener.queue as q where q.name = queues[i] and not q.paused)
          and d.state = 'scheduled' and d.run_at <= moment
        order by d.run_at limit slots[i] for update skip locked);
      update listener.delivery as d set state = 'waiting' where d.id = any(candidates);
    end if;
    free := slots[i];
    began := clock_timestamp();
    loop
      begin
        taken := listener.take(queues[i], free, worker, lease);
      exception when others then
        -- Any error may come from one row, such as one that a trigger of the table refuses.
        taken := listener.take_each(queues[i], free, worker, lease);
      end;
      more := more or coalesce((taken->'more')::boolean, false);
      missed := coalesce(taken->'refused', '[]');
      if taken->'missed' <> '[]' then
        missed := listener.judge_missed(taken->'missed') || missed;
      end if;
      jobs := jobs || (taken->'jobs');
      misses := misses || missed;
      free := free - jsonb_array_length(taken->'jobs');
      -- What was missed is out of the way now, so the next round finds other jobs for its slots.
      exit when free = 0 or missed = '[]' or more;
      -- What was put aside so far counts when this call commits; the next call goes on from there.
      if clock_timestamp() > began + interval '200 milliseconds' then
        more := true;
        exit;
      end if;
    end loop;
    if pg_column_size(jobs) > 16 * 1024 * 1024 then
      more := true;
      exit;
    end if;
  end loop;
  if not sweep then
    return jsonb_build_object('jobs', jobs, 'misses', misses, 'more', more);
  end if;

  select min(due.run_at) into next_due
  from listener.queue as t
  cross join lateral (select d.run_at from listener.delivery as d where d.queue = t.id and d.state = 'scheduled'
                      order by d.run_at limit 1) as due
  where t.name = any(queues) and not t.paused;
  select min(d.lease_until) into next_lease from listener.delivery as d
  where d.state = 'running';
  update listener.worker as w set seen_at = clock_timestamp() where w.id = claim.worker;
  return jsonb_build_object('jobs', jobs, 'misses', misses, 'more', more, 'known', found,
    'next_due', extract(epoch from next_due - clock_timestamp()),
    'next_lease', extract(epoch from next_lease - clock_timestamp()));
end $$;

-- take_each: takes one by one when a row made the statement of `take` fail, so that this row is found and put aside. It
-- ends after 16 MB of rows or a second, and then returns "more".
create or replace function listener.take_each(queue text, most int, worker text, lease interval) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
as $$
declare
  q        listener.queue;
  one      bigint;
  patience text := '100ms';
  taken    jsonb;
  jobs     jsonb := '[]';
  missed   jsonb := '[]';
  refused  jsonb := '[]';
  more     boolean := false;
  began    timestamptz := clock_timestamp();
begin
  select * into strict q from listener.queue as t where t.name = take_each.queue;
  for one in select d.id from listener.delivery as d where d.queue = q.id and d.state = 'waiting'
             order by d.priority desc, d.id limit most for update skip locked
  loop
    begin
      taken := listener.take(queue, 1, worker, lease, one, patience);
      jobs := jobs || (taken->'jobs');
      missed := missed || (taken->'missed');
    exception
      when lock_not_available or deadlock_detected or serialization_failure then
        missed := missed || to_jsonb(one);
        -- When the table is locked, the others meet the same lock, and other queues wait for this call.
        patience := '1ms';
      when read_only_sql_transaction then
        raise;  -- the whole database is read-only
      when others then
        refused := refused || listener.postpone(one, sqlerrm, sqlstate);
    end;
    more := pg_column_size(jobs) > 16 * 1024 * 1024 or clock_timestamp() > began + interval '1 second';
    exit when more;
  end loop;
  return jsonb_build_object('jobs', jobs, 'missed', missed, 'refused', refused, 'more', more);
end $$;

-- postpone: puts a waiting delivery aside whose claim the table refused. If the refusal may pass with time, the job is
-- due again after a pause that doubles from a second to five minutes. Otherwise, and when other rows have refused it 20
-- times, which takes about an hour, the delivery becomes broken. Returns the miss, as `claim` does.
create or replace function listener.postpone(one bigint, error text, sqlstate text) returns jsonb
language sql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
  update listener.delivery as d
  set state = case when listener.passes_with_time(postpone.sqlstate)
                     and (d.refusals < 19 or postpone.sqlstate !~ '^(23|40|55)') then 'scheduled' else 'broken' end,
      run_at = clock_timestamp() + make_interval(secs => least(300, 2 ^ least(d.refusals, 20))),
      refusals = d.refusals + 1, error = postpone.error
  where d.id = one and d.state = 'waiting'
  returning jsonb_build_object('queue', (select q.name from listener.queue as q where q.id = d.queue),
    'key', d.job_key, 'why', case d.state when 'broken' then 'refused' else 'later' end, 'error', postpone.error)
$$;

-- judge_missed: finds out why candidates can't be claimed now. Only what is certain ends a delivery: its row is gone,
-- or shows a word that is neither ready nor the delivery's own. A locked row, or table, is tried again in a moment.
create or replace function listener.judge_missed(deliveries jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '100ms'
as $$
declare
  a          listener.attachment;
  candidates bigint[] := array(select id::bigint from jsonb_array_elements_text(deliveries) as id);
  keys       text[];
  words      jsonb;    -- key -> status word of the rows that could be locked
  present    text[];
  locked     bigint[];
  misses     jsonb;
begin
  select t.* into a from listener.attachment as t join listener.delivery as d on d.attachment = t.id
  where d.id = candidates[1];
  keys := array(select d.job_key from listener.delivery as d where d.id = any(candidates));
  begin
    words := listener.lock_rows(a, keys, false);
    present := listener.existing_rows(a, array(select k from unnest(keys) as k where not words ? k));
  exception when lock_not_available then
    words := '{}';
    present := keys;
  end;
  with judged as (
    select d.id, d.queue, d.job_key, d.attempt, d.fence, case
        when not words ? d.job_key then case when d.job_key = any(present) then 'locked' else 'gone' end
        -- The row was unlocked after it was tried.
        when words->>d.job_key = a.ready or words->>d.job_key = d.word then 'locked'
        else 'word' end as why
    from listener.delivery as d where d.id = any(candidates)
  ), ended as (
    delete from listener.delivery as d using judged as j where d.id = j.id and j.why in ('gone', 'word')
  ), noted as (
    insert into listener.attempt (queue, job_key, attempt, fence, outcome, error)
    select j.queue, j.job_key, j.attempt, j.fence, 'cancelled',
           case j.why when 'gone' then 'the row is gone' else format('the row shows %L', words->>j.job_key) end
    from judged as j where j.why in ('gone', 'word')
  )
  select jsonb_agg(jsonb_build_object('queue', q.name, 'key', j.job_key, 'why', j.why)),
         array_agg(j.id) filter (where j.why = 'locked')
    into misses, locked from judged as j join listener.queue as q on q.id = j.queue;
  -- Meanwhile the locked rows do not stand before other jobs.
  update listener.delivery as d set state = 'scheduled', run_at = clock_timestamp() + interval '250 milliseconds'
  where d.id = any(locked);
  return coalesce(misses, '[]');
end $$;
