-- claim: takes up to slots[i] jobs of queues[i] for a worker: due deliveries and their rows go from ready, or from
-- the word that the delivery itself last wrote, to running. It waits for nobody. Answers
--   jobs        [{delivery, queue, key, fence, attempt, max_attempts, row, reached, saved, snoozes, waited, late, origin}]
--               waited: seconds since first due; late: seconds since due this time
--   misses      [{queue, key, why, error?}]  why: gone, word, locked, refused
--   next_due    seconds until the next scheduled job of these queues, next_lease: until the next lease of another
--               worker ends; null when there is none, or when every queue gave all that was asked
--   known       false when the worker is not registered (any more)
create or replace function listener.claim(worker text, queues text[], slots int[], lease interval default '20 seconds')
returns jsonb
language plpgsql security definer
set search_path = '' set row_security = off set enable_seqscan = off set enable_bitmapscan = off set lock_timeout = '300ms'
as $$
declare
  q          record;
  a          listener.attachment;
  candidates bigint[];
  one        bigint;
  part       jsonb;
  jobs       jsonb := '[]';
  misses     jsonb := '[]';
  short      boolean := false;
  next_due   timestamptz;
  next_lease timestamptz;
begin
  update listener.worker as w set seen_at = clock_timestamp()
  where w.id = claim.worker and w.seen_at < clock_timestamp() - interval '10 seconds';

  for q in select t.*, wanted.free from unnest(queues, slots) as wanted(name, free)
           join listener.queue as t on t.name = wanted.name where not t.paused and wanted.free > 0
  loop
    select * into a from listener.attachment as t where t.id = q.attachment;
    perform listener.promote(q.id, q.free);
    candidates := array(select d.id from listener.delivery as d where d.queue = q.id and d.state = 'waiting'
                        order by d.priority desc, d.id limit q.free for update skip locked);
    short := short or cardinality(candidates) < q.free;
    continue when cardinality(candidates) = 0;
    begin
      part := listener.take(a, candidates, worker, lease);
      jobs := jobs || (part->'jobs');
      misses := misses || (part->'misses');
    exception when others then
      -- A row made the statement fail: find it, keep it aside, and take the others.
      foreach one in array candidates loop
        begin
          part := listener.take(a, array[one], worker, lease);
          jobs := jobs || (part->'jobs');
          misses := misses || (part->'misses');
        exception
          when lock_not_available or deadlock_detected or serialization_failure then
            misses := misses || jsonb_build_object('queue', q.name, 'why', 'locked');
          when others then
            update listener.delivery as d set state = 'broken', error = sqlerrm where d.id = one and d.state = 'waiting';
            misses := misses || jsonb_build_object('queue', q.name, 'why', 'refused', 'error', sqlerrm,
              'key', (select d.job_key from listener.delivery as d where d.id = one));
        end;
      end loop;
    end;
  end loop;

  if short then
    select min(due.run_at) into next_due
    from listener.queue as t
    cross join lateral (select d.run_at from listener.delivery as d where d.queue = t.id and d.state = 'scheduled'
                        order by d.run_at limit 1) as due
    where t.name = any(queues) and not t.paused;
    select min(d.lease_until) into next_lease from listener.delivery as d
    where d.state = 'running' and d.worker <> claim.worker;
  end if;
  return jsonb_build_object('jobs', jobs, 'misses', misses,
    'next_due', extract(epoch from next_due - clock_timestamp()),
    'next_lease', extract(epoch from next_lease - clock_timestamp()),
    'known', exists (select from listener.worker as w where w.id = claim.worker));
end $$;

-- promote: lets scheduled jobs of a queue that are due wait for a claim.
create or replace function listener.promote(queue int, most int) returns void
language plpgsql set search_path = '' set enable_seqscan = off set enable_bitmapscan = off
as $$
declare due bigint[];
begin
  due := array(select d.id from listener.delivery as d
               where d.queue = promote.queue and d.state = 'scheduled' and d.run_at <= clock_timestamp()
               order by d.run_at limit most for update skip locked);
  if cardinality(due) > 0 then
    update listener.delivery as d set state = 'waiting' where d.id = any(due);
  end if;
end $$;

-- take: claims these deliveries, which the caller has locked; answers jobs and misses as `claim` does.
create or replace function listener.take(a listener.attachment, candidates bigint[], worker text, lease interval)
returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  moment  timestamptz := clock_timestamp();
  got   jsonb;         -- key -> word of the rows that could be locked
  rows    jsonb := '{}'; -- key -> row as claimed
  fresh   text[];        -- keys that go from ready to running
  resumed text[];        -- keys whose row already shows a word of this delivery
  misses  jsonb;
  jobs    jsonb;
begin
  got := listener.lock_rows(a, array(select d.job_key from listener.delivery as d where d.id = any(candidates)), false);
  select array_agg(d.job_key) filter (where got->>d.job_key = a.ready),
         array_agg(d.job_key) filter (where got->>d.job_key = d.word and d.word <> a.ready)
    into fresh, resumed from listener.delivery as d where d.id = any(candidates);

  misses := listener.missed(a, candidates, got);

  with claimed as (
    update listener.delivery as d
    set state = 'running', attempt = d.attempt + 1, fence = nextval('listener.fence'), worker = take.worker,
        claimed_at = moment, lease_until = moment + lease,
        word = case when d.job_key = any(resumed) then d.word else a.running end
    where d.id = any(candidates) and (d.job_key = any(fresh) or d.job_key = any(resumed))
    returning d.*
  )
  select jsonb_agg(jsonb_build_object(
      'delivery', c.id, 'queue', q.name, 'key', c.job_key, 'fence', c.fence, 'attempt', c.attempt,
      'max_attempts', q.max_attempts, 'reached', case when c.word = any(a.stages) and c.word <> a.stages[1] then c.word end,
      'saved', c.checkpoint, 'snoozes', c.snoozes, 'origin', c.origin,
      'waited', extract(epoch from moment - c.first_due), 'late', extract(epoch from moment - c.run_at))
      order by c.priority desc, c.id)
    into jobs from claimed as c join listener.queue as q on q.id = c.queue;

  if fresh is not null then
    perform listener.write_rows(a, (select jsonb_agg(jsonb_build_object('key', key, 'columns', listener.paint(a, jsonb_build_object(
      'status', a.running, 'started_at', true, 'progress', 0, 'error', null, 'finished_at', null)))) from unnest(fresh) as key));
  end if;
  execute format('select jsonb_object_agg(t.%1$I::text, to_jsonb(t)) from %2$s as t where t.%1$I = any($1::text[]::%3$s[])',
    a.key_column, a.table_name, a.key_type) into rows using fresh || resumed;
  return jsonb_build_object('misses', misses, 'jobs',
    (select coalesce(jsonb_agg(job || jsonb_build_object('row', rows->(job->>'key')) order by n), '[]')
     from jsonb_array_elements(jobs) with ordinality as j(job, n)));
end $$;

-- missed: why candidates can't be claimed now. Only what is certain ends a delivery: a row that is gone, or shows
-- a word that is neither ready nor this delivery's own. A locked row is left for the next claim.
create or replace function listener.missed(a listener.attachment, candidates bigint[], got jsonb) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  present text[];
  misses  jsonb;
begin
  if (select count(*) from jsonb_object_keys(got)) = cardinality(candidates) and not exists (
    select from listener.delivery as d where d.id = any(candidates)
    and got->>d.job_key <> a.ready and got->>d.job_key is distinct from d.word)
  then
    return '[]';
  end if;
  present := listener.existing_rows(a, array(
    select d.job_key from listener.delivery as d where d.id = any(candidates) and not got ? d.job_key));
  with judged as (
    select d.id, d.queue, d.job_key, d.attempt, d.fence, case
        when not got ? d.job_key then case when d.job_key = any(present) then 'locked' else 'gone' end
        when got->>d.job_key <> a.ready and got->>d.job_key is distinct from d.word then 'word' end as why
    from listener.delivery as d where d.id = any(candidates)
  ), ended as (
    delete from listener.delivery as d using judged as j where d.id = j.id and j.why in ('gone', 'word')
  ), noted as (
    insert into listener.attempt (queue, job_key, attempt, fence, outcome, error)
    select j.queue, j.job_key, j.attempt, j.fence, 'cancelled',
           case j.why when 'gone' then 'the row is gone' else format('the row shows %L', got->>j.job_key) end
    from judged as j where j.why in ('gone', 'word')
  )
  select jsonb_agg(jsonb_build_object('queue', q.name, 'key', j.job_key, 'why', j.why))
    into misses from judged as j join listener.queue as q on q.id = j.queue where j.why is not null;
  return coalesce(misses, '[]');
end $$;
