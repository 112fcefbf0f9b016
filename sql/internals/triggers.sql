-- generate: writes the capture triggers of one attachment, which must be quick, for their text is static and planned once.
-- They are thin: what a change means stands in capture.
create or replace function listener.generate(attachment int) returns void
language plpgsql set search_path = ''
as $$
declare
  a          listener.attachment;
  row_sql    text;
  rows_sql   text;
  body       text;
  op         text;
  transition text;
begin
  select * into strict a from listener.attachment where id = generate.attachment;
  row_sql := listener.row_sql(a);

  foreach op in array listener.captured() loop
    case op
    when 'insert' then
      transition := 'referencing new table as new_rows';
      body := listener.insert_body(a, row_sql);
    when 'update' then
      transition := 'referencing old table as old_rows new table as new_rows';
      -- Only where row and delivery disagree: the service's own writes leave here, without any call.
      rows_sql := format(
        'select c.* from (select %1$s from new_rows as r left join old_rows as o on o.%2$I = r.%2$I'
        ' where o.%2$I is null or o.%3$I is distinct from r.%3$I'
        ' union all select o.%2$I::text, null, null, null, null from old_rows as o'
        ' where not exists (select from new_rows as r where r.%2$I = o.%2$I)) as c'
        -- One look into the index for each row, whatever a stale plan believes of the size of the backlog.
        ' left join lateral (select t.state from listener.delivery as t'
        ' where t.attachment = %4$s and t.job_key = c.key limit 1) as d on true'
        ' where case when c.word = %5$L then d.state is null or d.state in (''running'', ''broken'')'
        ' when c.word = any(%6$L) then d.state <> ''running'' else d.state is not null end',
        row_sql, a.key_column, a.status_column, a.id, a.ready, a.stages || a.running);
    when 'delete' then
      transition := 'referencing old table as old_rows';
      rows_sql := format('select r.%I::text as key, null as word, null::int as queue, null::int as priority,'
        ' null::timestamptz as run_at from old_rows as r', a.key_column);
    when 'truncate' then
      transition := '';
      rows_sql := format('select d.job_key as key, null as word, null::int as queue, null::int as priority,'
        ' null::timestamptz as run_at from listener.delivery as d where d.attachment = %s', a.id);
    end case;

    if op <> 'insert' then
      body := format($body$
  select array_agg(c.key), array_agg(c.word), array_agg(c.queue), array_agg(c.priority), array_agg(c.run_at)
    into keys, words, queues, priorities, run_ats from (%s) as c;
  if keys is not null then
    perform listener.capture(%s, keys, words, queues, priorities, run_ats, %L);
  end if;$body$, rows_sql, a.id, op);
    end if;

    execute format('create or replace function listener.%I() returns trigger language plpgsql security definer set search_path = %L %s as %L',
      format('capture_%s_%s', op, a.id), '', case when op <> 'insert' then 'set row_security = off set enable_seqscan = off' end,
      format($body$
declare keys text[]; words text[]; queues int[]; priorities int[]; run_ats timestamptz[];
begin%s
  return null;
-- The user's statement comes first: what is missed here is found by reconcile.
exception when others then
  raise warning 'listener could not capture a change of %%: %%', %L, sqlerrm;
  return null;
end $body$, body, a.table_name));
    execute format('revoke all on function listener.%I() from public', format('capture_%s_%s', op, a.id));
    if not exists (select from pg_catalog.pg_trigger as t where t.tgrelid = to_regclass(a.table_name)
                   and t.tgname = format('listener_%s_%s', op, a.id) and (op <> 'update' or t.tgqual is not null)) then
      execute format('create or replace trigger %I after %s on %s %s for each statement %s execute function listener.%I()',
        format('listener_%s_%s', op, a.id), op, a.table_name, transition,
        -- A claim looks after what it writes itself, but not after what triggers of the table's own write meanwhile. Others
        -- who set this hide nothing for long: the worker's next write meets their word, or reconcile their row.
        case op when 'update' then format('when (current_setting(%L, true) is distinct from %L or pg_trigger_depth() > 0)',
          'listener.claiming', 'on') end,
        format('capture_%s_%s', op, a.id));
    end if;
  end loop;
  perform listener.generate_guard(a);
end $$;

-- insert_body: new rows have no deliveries yet, so all is done here, quickly. A key that was used before, whose delivery
-- was left behind, begins anew as in `capture`; a worker that still holds it learns so by its next heartbeat.
create or replace function listener.insert_body(a listener.attachment, row_sql text) returns text
language sql stable set search_path = ''
as $$
  select format(case when a.wake = 'notify' and a.kind_column is null then $body$
  %1$s;
  if found then
    perform pg_notify('listener_wake', %2$L);
  end if;$body$ else $body$
  with captured as (%1$s returning d.queue)
  select array_agg(distinct c.queue) into queues from captured as c;
  if queues is not null then
    perform listener.wake(%3$L, queues);
  end if;$body$ end, listener.insert_sql(a, 'insert', format('(select %s from new_rows as r where r.%I = %L)',
    row_sql, a.status_column, a.ready)) || $conflict$
  on conflict (attachment, job_key) do update
    set state = excluded.state, queue = excluded.queue, priority = excluded.priority, run_at = excluded.run_at,
        first_due = excluded.first_due, origin = excluded.origin, attempt = 0, fence = nextval('listener.fence'), word = null,
        worker = null, lease_until = null, checkpoint = null, snoozes = 0, error = null
    where d.state in ('running', 'broken')$conflict$, a.name, a.wake)
$$;

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

-- captured: what the triggers of an attached table hear of.
create or replace function listener.captured() returns text[]
language sql immutable set search_path = ''
as $$ select array['insert', 'update', 'delete', 'truncate'] $$;

-- generate_take: writes take(queue, most, worker, lease, one, patience), the heart of a claim and by itself the quick way to
-- claim from one queue: all it can get, or an error. It has a branch for each table, for dynamic SQL would be planned anew
-- each time, which costs a tenth of a claim. Answers {"jobs": as `claim` does, "missed": deliveries that it left}.
create or replace function listener.generate_take() returns void
language plpgsql set search_path = ''
as $$
begin
  -- Who attaches or detaches meanwhile waits, and sees this change, too.
  lock table listener.attachment in share update exclusive mode;
  execute format('create or replace function listener.take(queue text, most int, worker text, lease interval,'
    ' one bigint default null, patience text default %L) returns jsonb language plpgsql security definer'
    ' set search_path = %L set row_security = off set enable_seqscan = off set enable_bitmapscan = off'
    -- What a statement has gathered is joined by hashing, however little was expected.
    ' set enable_nestloop = off'
    -- Plans don't depend on what they are called with, and planning anew costs a third of a claim.
    ' set plan_cache_mode = force_generic_plan'
    -- A scan that is off, and that a trigger of the user's table needs, counts as so dear that its plan would be compiled.
    ' set jit = off as %L', '100ms', '', format($body$
#variable_conflict use_variable
declare
  moment   timestamptz := clock_timestamp();
  jobs     jsonb;
  missed   jsonb;
  fence    bigint;
  odd      boolean;
  setting  text := set_config('lock_timeout', patience, true);
begin
%s  setting := set_config('listener.claiming', '', true);
  -- A BEFORE trigger shows in what was written; one that comes after makes a job begin anew, which takes a new fence.
  if fence is not null then
    if odd or fence < currval('listener.fence') then
      perform listener.overruled(queue, jobs);
    end if;
  end if;
  return jsonb_build_object('jobs', coalesce(jobs, '[]'), 'missed', coalesce(missed, '[]'));
end $body$, (select string_agg(format(E'  if queue = any(%L) then%s  end if;\n', array(select q.name from listener.queue as q
               where q.attachment = a.id), listener.take_sql(a)), '' order by a.id) from listener.attachment as a)));
  revoke all on function listener.take from public;
end $$;

-- take_sql: what `take` does with one table, as one statement: deliveries that nobody has locked, then their rows, then
-- both go to running. A paused queue has nothing to take. Names are looked up in an empty search path; that of the table's
-- own triggers, which run in the statement, is set once it has begun. Our own trigger need not look at what it writes.
create or replace function listener.take_sql(a listener.attachment) returns text
language sql stable set search_path = ''
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
    -- Tables are looked up by arrays, never joined: a plan made while they were empty must do for full ones.
    select t.%2$I::text as key, t.%3$I::text as word, case when t.%3$I <> %4$L then to_jsonb(t) end as seen
    from %5$s as t where t.%2$I = any(array(select c.job_key::%1$s from candidates as c)) for no key update skip locked
  ), claimed as (
    update listener.delivery as d
    set state = 'running', attempt = d.attempt + 1, fence = nextval('listener.fence'), worker = take.worker,
        claimed_at = moment, lease_until = moment + lease, word = case l.word when %4$L then %6$L else d.word end
    from locked as l
    where d.id = any(array(select c.id from candidates as c)) and d.job_key = l.key and l.word in (%4$L, d.word)
    returning d.*, l.word as found, l.seen
  ), begun as (
    update %5$s as t set %7$s
    where t.%2$I = any(array(select c.job_key::%1$s from claimed as c where c.found = %4$L))
    returning t.%2$I::text as key, t.%3$I::text as word, to_jsonb(t) as row
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
    listener.begin_sql(a), a.stages[2:], a.search_path)
$$;

-- overruled: a trigger of the table's own has the last word about rows that were claimed just now. What it ended is
-- over; a row that it keeps ready is refused, for it would be run again and again, uncounted.
create or replace function listener.overruled(queue text, jobs jsonb) returns void
language plpgsql set search_path = ''
as $$
declare
  a     listener.attachment;
  words jsonb;
  kept  text;
begin
  select t.* into strict a from listener.attachment as t join listener.queue as q on q.attachment = t.id where q.name = overruled.queue;
  words := listener.lock_rows(a, array(select job->>'key' from jsonb_array_elements(jobs) as job), false);
  select key into kept from jsonb_each_text(words) where value = a.ready limit 1;
  if found then
    raise exception 'a trigger of % keeps the row % in the word %', a.table_name, kept, quote_literal(a.ready);
  end if;
  perform listener.capture(a.id, array_agg(key), array_agg(value), null, null, null, 'update')
  from jsonb_each_text(words) where value <> all(a.stages || a.running) having count(*) > 0;
end $$;

-- begin_sql: what a claim writes into a ready row: the running word, a fresh start time, and no traces of an earlier run.
create or replace function listener.begin_sql(a listener.attachment) returns text
language sql stable set search_path = ''
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

-- row_sql: the columns of one captured row `r`: key, word, queue (null for a kind that nobody named), priority, run_at.
create or replace function listener.row_sql(a listener.attachment) returns text
language plpgsql stable set search_path = ''
as $$
declare queue text;
begin
  select case when a.kind_column is null then min(q.id)::text
              else format('case %s %s end',
                case when a.kind_path is null then format('r.%I::text', a.kind_column) else format('(r.%I->>%L)', a.kind_column, a.kind_path) end,
                string_agg(format('when %L then %s', q.kind, q.id), ' ' order by q.id)) end
    into queue from listener.queue as q where q.attachment = a.id;
  return format('r.%I::text as key, coalesce(r.%I::text, %L) as word, %s as queue, %s as priority, %s as run_at',
    a.key_column, a.status_column, '', queue,
    case when a.columns ? 'priority' then format('r.%I::int', a.columns->'priority'->>'name') else 'null::int' end,
    listener.moment_sql(a.columns->'run_at'));
end $$;

-- moment_sql: the expression for a time of the row `r`, in whichever unit its column has. Anybody may write that
-- column: what lies beyond all reason is brought into the years 1970 to 2100, so that it can be calculated with.
create or replace function listener.moment_sql(col jsonb) returns text
language sql immutable set search_path = ''
as $$
  select case when col is null then 'null::timestamptz'
              when col->>'type' = 'bigint' then format('to_timestamp(least(greatest(r.%I, 0), 4102444800000) / 1000.0)', col->>'name')
              else format('least(greatest(r.%I, ''epoch''), ''2100-01-01Z''::timestamptz)', col->>'name') end
$$;
