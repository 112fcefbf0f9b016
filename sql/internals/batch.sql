-- apply_batch: runs one verb over a batch, so that one bad row stops no other. It first tries the batch as a whole and
-- waits for nobody. What was locked, or everything when a row made the statement fail, is then done one by one and
-- may wait a little: in all less than deadlock_timeout, so that a user who waits for an item that is done already is
-- never taken for a deadlock. After that only a lock on a whole table can be met; it must not delay other tables.
-- The work is done by apply_progress, apply_stage, apply_checkpoint, apply_complete, apply_fail, apply_retry,
-- apply_snooze and apply_release, each in the file of its verb.
-- Returns [{"delivery", "outcome", "error"?, "sqlstate"?}]: the outcome of the verb (ok, lost, locked, spent), or
-- `later` for a refusal that may pass with time, unless the item has "last", or `refused`.
-- Deferred constraints are checked here, because at COMMIT one row would make the whole call fail.
create or replace function listener.apply_batch(verb text, batch jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '300ms' set jit = off
as $$
declare
  outcomes jsonb := '[]';
  rest     jsonb;
  item     jsonb;
  one      jsonb;
  started  timestamptz := clock_timestamp();
  patient  boolean;
begin
  begin
    execute format('select listener.%I($1, false)', 'apply_' || verb) into outcomes using batch;
    set constraints all immediate;
    rest := (
      select jsonb_agg(i) from jsonb_array_elements(batch) as i
      where i->>'delivery' in (
        select o->>'delivery' from jsonb_array_elements(outcomes) as o where o->>'outcome' = 'locked'));
    if rest is null then
      return outcomes;
    end if;
    outcomes := (
      select coalesce(jsonb_agg(o), '[]') from jsonb_array_elements(outcomes) as o where o->>'outcome' <> 'locked');
  exception when others then
    outcomes := '[]';
    rest := batch;
  end;

  for item in select i from jsonb_array_elements(rest) as i order by i->>'delivery' loop
    patient := clock_timestamp() < started + interval '300 milliseconds';
    if not patient then
      perform set_config('lock_timeout', '1ms', true);
    end if;
    begin
      execute format('select listener.%I($1, $2)->0', 'apply_' || verb) into one
        using jsonb_build_array(item), patient;
      set constraints all immediate;
    exception
      when read_only_sql_transaction then
        raise;  -- the whole database is read-only
      when lock_not_available or deadlock_detected or serialization_failure then
        one := jsonb_build_object('outcome', 'locked');
      when others then
        one := jsonb_build_object('error', sqlerrm, 'sqlstate', sqlstate, 'outcome',
          case when listener.passes_with_time(sqlstate) and not item ? 'last' then 'later' else 'refused' end);
    end;
    outcomes := outcomes || (one || jsonb_build_object('delivery', item->'delivery'));
  end loop;
  return outcomes;
end $$;

-- settle: `apply_batch` for the verbs that end an attempt: complete, fail and retry. A retry whose ready word the table
-- refuses for now keeps the running word. When the table refuses the result, the job fails with the refusal as its error, beside
-- the handler's own error. When the table refuses even that, the delivery becomes `broken` and is kept, where people see
-- it.
create or replace function listener.settle(verb text, batch jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  outcomes jsonb := listener.apply_batch(verb, batch);
  one      jsonb;
  again    jsonb;
  refused  jsonb;
  problem  text;
begin
  for one in select o from jsonb_array_elements(outcomes) as o where o->>'outcome' in ('refused', 'later') loop
    refused := (select i from jsonb_array_elements(batch) as i where i->'delivery' = one->'delivery' limit 1);
    if verb = 'retry' and one->>'outcome' = 'later' then
      again := listener.apply_batch('retry', jsonb_build_array(refused || jsonb_build_object('keep', true, 'error',
        format('%s (the row keeps its word: %s)', refused->>'error', one->>'error'))))->0;
      if again->>'outcome' in ('ok', 'spent', 'lost') then
        outcomes := listener.replace_outcome(outcomes, again);
        continue;
      end if;
    end if;
    continue when one->>'outcome' = 'later';
    problem := case when verb = 'complete' then format('the table refused the result: %s', one->>'error')
                    else format('%s (the table refused the outcome: %s)', refused->>'error', one->>'error') end;
    refused := refused || jsonb_build_object('columns', '{}'::jsonb, 'error', problem);
    if verb = 'fail' or listener.apply_batch('fail', jsonb_build_array(refused))->0->>'outcome' = 'refused' then
      update listener.delivery as d set state = 'broken', lease_until = null, error = problem
      where d.id = (one->>'delivery')::bigint and d.fence = (refused->>'fence')::bigint and d.state = 'running';
    end if;
  end loop;
  return outcomes;
end $$;

-- replace_outcome: the outcomes of a batch with another one for one delivery.
create or replace function listener.replace_outcome(outcomes jsonb, one jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select jsonb_agg(case when o->'delivery' = one->'delivery' then one else o end) from jsonb_array_elements(outcomes) as o
$$;

-- passes_with_time: whether an error of one row may pass although nobody changes that row: conflicts with other rows,
-- locks, resources. `passes_with_time` in listener/errors.py is the same list.
create or replace function listener.passes_with_time(sqlstate text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select passes_with_time.sqlstate ~ '^(08|25|40|53|57|58|23503|23505|23P01|55006|55P03|XX)' $$;

-- held: the items of a batch whose attempts are held, each with its attempt.
create or replace function listener.held(batch jsonb, attempts listener.locked_attempt[]) returns table (
  item jsonb, delivery bigint, attachment int, queue int, job_key text, attempt int, fence bigint, worker text,
  claimed_at timestamptz, word text
)
language sql immutable
as $$
  select i.item, l.delivery, l.attachment, l.queue, l.job_key, l.attempt, l.fence, l.worker, l.claimed_at, l.word
  from jsonb_array_elements(batch) as i(item)
  join unnest(attempts) as l on (l.delivery, l.fence) = ((i.item->>'delivery')::bigint, (i.item->>'fence')::bigint)
  where l.standing = 'held'
$$;

-- outcomes: what a verb returns for each item: ok, locked, or lost, also for a delivery that no longer exists.
create or replace function listener.outcomes(batch jsonb, attempts listener.locked_attempt[]) returns jsonb
language sql immutable
as $$
  select coalesce(jsonb_agg(jsonb_build_object('delivery', i.item->'delivery', 'outcome',
    case l.standing when 'held' then 'ok' when 'locked' then 'locked' else 'lost' end)), '[]')
  from jsonb_array_elements(batch) as i(item)
  left join unnest(attempts) as l
    on (l.delivery, l.fence) = ((i.item->>'delivery')::bigint, (i.item->>'fence')::bigint)
$$;
