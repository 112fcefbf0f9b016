-- generate_take: writes the verb take(queue, most, worker, lease, one, patience), which does the work of a claim and is
-- by itself the quick way to claim from one queue. It takes all that it can get, or raises an error. It has a branch of
-- static SQL for each attached table, because dynamic SQL would be planned at each call, a tenth of a claim's time.
--   one       claims only this delivery; patience is the lock_timeout of the call
-- take returns {"jobs": as `claim` does, "missed": deliveries that it left}.
create or replace function listener.generate_take() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare branches text;
begin
  -- Another attach or detach waits here, and then includes this change.
  lock table listener.attachment in share update exclusive mode;
  select string_agg(format(E'  if queue = any(%L) then%s  end if;\n',
           array(select q.name from listener.queue as q where q.attachment = a.id), listener.take_sql(a)),
           '' order by a.id)
    into branches from listener.attachment as a;
  execute format('create or replace function listener.take(queue text, most int, worker text, lease interval,'
    ' one bigint default null, patience text default %L) returns jsonb language plpgsql security definer'
    ' set search_path = pg_catalog, pg_temp set row_security = off set enable_seqscan = off set enable_bitmapscan = off'
    -- Rows that a statement has gathered are joined by hashing, however few the planner expected.
    ' set enable_nestloop = off'
    -- The plans do not depend on the arguments, and planning at each call costs a third of a claim.
    ' set plan_cache_mode = force_generic_plan'
    -- A disabled scan that a trigger of the user's table needs looks so expensive that its plan would be compiled.
    ' set jit = off as %L', '100ms', format($body$
#variable_conflict use_variable
declare
  moment  timestamptz := clock_timestamp();
  jobs    jsonb;
  missed  jsonb;
  fence   bigint;   -- the newest of the fences that were drawn here
  odd     boolean;  -- whether a BEFORE trigger wrote another word than ours
  setting text;
begin
  -- set_config is assigned, because plpgsql evaluates an assignment without the cost of a statement.
  setting := set_config('lock_timeout', patience, true);
%s  setting := set_config('listener.claiming', '', true);
  -- Deferred constraints are checked here, where the caller isolates the row, instead of at COMMIT.
  set constraints all immediate;
  -- An AFTER trigger may have made a claimed row ready again: then the capture of that restart drew a fence in this
  -- session after ours, so the sequence's last value here (currval) is above all that were drawn for this claim.
  if fence is not null then
    if odd or fence < currval('listener.fence') then
      perform listener.check_triggers(queue, jobs);
    end if;
  end if;
  -- The answer is bounded, because nobody can read one of 256 MB. The caller then takes one by one.
  if pg_column_size(jobs) > 16 * 1024 * 1024 then
    if jsonb_array_length(jobs) > 1 or pg_column_size(jobs) > 32 * 1024 * 1024 then
      raise exception 'the row is too large to be read: %% MB as JSON, and the limit is 32 MB',
        pg_column_size(jobs) / 1024 / 1024
        using hint = 'Store large data as a file, and its address in the row.';
    end if;
  end if;
  return jsonb_build_object('jobs', coalesce(jobs, '[]'), 'missed', coalesce(missed, '[]'));
end $body$, branches));
  revoke all on function listener.take from public;
end $$;

-- take_sql: the branch of `take` for one table, a single statement: it locks deliveries that nobody has locked, then
-- their rows, and sets both to running. A paused queue has nothing to take.
-- The two settings are made inside the statement, when its first candidates are looked up: all names are resolved by
-- then, so only the table's own triggers run in theirs. `listener.claiming` stops our own trigger.
--   %1$ key type  %2$ key column  %3$ status column  %4$ ready word  %5$ table  %6$ running word
--   %7$ assignments of begin_sql  %8$ stages after the first  %9$ search path of the table's triggers
create or replace function listener.take_sql(a listener.attachment) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select format($body$
  with q as materialized (
    select t.* from listener.queue as t where t.name = take.queue and not t.paused
  ), candidates as materialized (
    select d.id, d.job_key from listener.delivery as d
    where d.queue = (select q.id from q) and d.state = 'waiting' and (one is null or d.id = one)
      and (select set_config('search_path', %9$L, true) || set_config('listener.claiming', 'on', true)) is not null
    order by d.priority desc, d.id limit most for update skip locked
  ), locked as materialized (
    -- Rows are looked up by arrays, never joined: a plan made while the tables were empty must serve full ones.
    select t.%2$I::text as key, t.%3$I::text as word, case when t.%3$I <> %4$L then to_jsonb(t.*) end as seen
    from %5$s as t where t.%2$I = any(array(select c.job_key::%1$s from candidates as c)) for no key update skip locked
  ), claimed as (
    update listener.delivery as d
    set state = 'running', attempt = d.attempt + 1, fence = nextval('listener.fence'), worker = take.worker,
        claimed_at = moment, lease_until = moment + lease, word = case l.word when %4$L then %6$L else d.word end,
        refusals = 0, error = null
    from locked as l
    where d.id = any(array(select c.id from candidates as c)) and d.job_key = l.key and l.word in (%4$L, d.word)
    returning d.*, l.word as found, l.seen
  ), begun as (
    update %5$s as t set %7$s
    where t.%2$I = any(array(select c.job_key::%1$s from claimed as c where c.found = %4$L))
    returning t.%2$I::text as key, t.%3$I::text as word, to_jsonb(t.*) as row
  )
  select jsonb_agg(jsonb_build_object(
      'delivery', c.id, 'queue', take.queue, 'key', c.job_key, 'fence', c.fence, 'attempt', c.attempt,
      'max_attempts', (select q.max_attempts from q), 'reached', case when c.word = any(%8$L) then c.word end,
      'row', coalesce(b.row, c.seen), 'saved', c.checkpoint, 'snoozes', c.snoozes, 'origin', c.origin,
      'waited', extract(epoch from moment - c.first_due), 'late', extract(epoch from moment - c.run_at))
      order by c.priority desc, c.id),
    (select jsonb_agg(m.id) from candidates as m where m.id <> all(array(select c.id from claimed as c))),
    max(c.fence), bool_or(c.found = %4$L and b.word is distinct from %6$L)
    into jobs, missed, fence, odd from claimed as c left join begun as b on b.key = c.job_key;
$body$, a.key_type, a.key_column, a.status_column, a.ready, a.table_name, a.running,
    listener.begin_sql(a), a.stages[2:], listener.trigger_path(a))
$$;

-- begin_sql: what a claim writes into a ready row: the running word, a new start time, and no traces of an earlier run.
create or replace function listener.begin_sql(a listener.attachment) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select string_agg(format('%I = %s', target.name, target.value), ', ') from (
    select a.status_column as name, quote_literal(a.running) as value
    union all
    select col->>'name', case
        when role = 'progress' then '0'
        when role in ('error', 'finished_at') then 'null'
        when col->>'type' = 'bigint' then '(extract(epoch from moment) * 1000)::bigint'
        else 'moment' end
    from jsonb_each(a.columns) as c(role, col)
    where role in ('progress', 'started_at', 'updated_at')
       or role in ('error', 'finished_at') and not (col->>'required')::boolean
  ) as target
$$;

-- check_triggers: applies what the table's own triggers did to rows that were claimed just now, because they have the
-- last word. A job that they ended is over. A row that they keep ready raises an error, because it would be claimed
-- again and again without counting an attempt.
create or replace function listener.check_triggers(queue text, jobs jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  a     listener.attachment;
  words jsonb;
  kept  text;
begin
  select t.* into strict a from listener.attachment as t
  join listener.queue as q on q.attachment = t.id where q.name = check_triggers.queue;
  words := listener.lock_rows(a, array(select job->>'key' from jsonb_array_elements(jobs) as job), false);
  select key into kept from jsonb_each_text(words) where value = a.ready limit 1;
  if found then
    raise exception 'a trigger of % keeps the row % in the word %', a.table_name, kept, quote_literal(a.ready);
  end if;
  perform listener.capture(a.id, array_agg(key), array_agg(value))
  from jsonb_each_text(words) where value <> all(a.stages || a.running) having count(*) > 0;
end $$;
