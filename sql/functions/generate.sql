-- generate: writes the functions of one attachment that must be quick, for their text is static and planned once:
-- the capture triggers, which are thin (what a change means stands in capture), and the heart of its claim.
create or replace function listener.generate(attachment int) returns void
language plpgsql set search_path = ''
as $$
declare
  a          listener.attachment;
  row_sql    text;
  quick      text;
  rows_sql   text;
  body       text;
  op         text;
  transition text;
begin
  select * into strict a from listener.attachment where id = generate.attachment;
  row_sql := listener.row_sql(a);
  perform listener.generate_take(a);

  foreach op in array listener.captured() loop
    quick := '';
    case op
    when 'insert' then
      transition := 'referencing new table as new_rows';
      rows_sql := format('select %s from new_rows as r where r.%I = %L', row_sql, a.status_column, a.ready);
      -- New rows have no deliveries yet: nearly always all is done here. Only a key that was used before goes on.
      quick := format($quick$
  with ready as (%s), captured as (%s)
  select array_agg(distinct c.queue), count(c.queue) < (select count(r.queue) from ready as r)
    into queues, odd from captured as c;
  if queues is not null then
    %s
  end if;
  if not odd then
    return null;
  end if;$quick$, rows_sql, listener.insert_sql(a, op),
        case when a.wake = 'notify' and a.kind_column is null then format('perform pg_notify(%L, %L);', 'listener_wake', a.name)
             else format('perform listener.wake(%L, queues);', a.wake) end);
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

    body := format($body$
declare keys text[]; words text[]; queues int[]; priorities int[]; run_ats timestamptz[]; odd boolean;
begin
  %s
  select array_agg(c.key), array_agg(c.word), array_agg(c.queue), array_agg(c.priority), array_agg(c.run_at)
    into keys, words, queues, priorities, run_ats from (%s) as c;
  if keys is not null then
    perform listener.capture(%s, keys, words, queues, priorities, run_ats, %L);
  end if;
  return null;
-- The user's statement comes first: what is missed here is found by reconcile.
exception when others then
  raise warning 'listener could not capture a change of %%: %%', %L, sqlerrm;
  return null;
end $body$, quick, rows_sql, a.id, op, a.table_name);

    execute format('create or replace function listener.%I() returns trigger language plpgsql'
      ' security definer set search_path = %L set row_security = off set enable_seqscan = off as %L',
      format('capture_%s_%s', op, a.id), '', body);
    execute format('revoke all on function listener.%I() from public', format('capture_%s_%s', op, a.id));
    if not exists (select from pg_catalog.pg_trigger as t
                   where t.tgrelid = to_regclass(a.table_name) and t.tgname = format('listener_%s_%s', op, a.id)) then
      execute format('create trigger %I after %s on %s %s for each statement execute function listener.%I()',
        format('listener_%s_%s', op, a.id), op, a.table_name, transition, format('capture_%s_%s', op, a.id));
    end if;
  end loop;
  perform listener.generate_guard(a);
end $$;

-- captured: what the triggers of an attached table hear of.
create or replace function listener.captured() returns text[]
language sql immutable set search_path = ''
as $$ select array['insert', 'update', 'delete', 'truncate'] $$;

-- generate_take: writes take_<id>(queue, most, worker, lease, one), the heart of a claim: deliveries that nobody has
-- locked, then their rows, then both go to running in one statement, at the end of which the triggers fire, when row and
-- delivery agree again. Answers {"jobs": as `claim` does, "missed": deliveries that could not be claimed, if any}.
create or replace function listener.generate_take(a listener.attachment) returns void
language plpgsql set search_path = ''
as $$
begin
  execute format('create or replace function listener.take_%s(queue int, most int, worker text, lease interval,'
    ' one bigint default null) returns jsonb language plpgsql set search_path = %L as %L', a.id, '', format($body$
declare
  moment     timestamptz := clock_timestamp();
  candidates bigint[];
  keys       text[];
  words      jsonb;
  seen       jsonb;
  taken      jsonb;
  kept       text;
begin
  select array_agg(c.id), array_agg(c.job_key) into candidates, keys from (
    select d.id, d.job_key from listener.delivery as d
    where d.queue = take_%6$s.queue and d.state = 'waiting' and (one is null or d.id = one)
    order by d.priority desc, d.id limit most for update skip locked) as c;
  if candidates is null then
    return '{"jobs": []}';
  end if;
  -- The table's own triggers run in these statements, and were written for their owner's search path.
  perform set_config('search_path', %10$L, true);
  select jsonb_object_agg(l.key, l.word), jsonb_object_agg(l.key, l.seen) filter (where l.seen is not null) into words, seen from (
    select t.%2$I::text as key, t.%3$I::text as word, case when t.%3$I <> %4$L then to_jsonb(t) end as seen
    from %5$s as t where t.%2$I = any(keys::%1$s[]) for no key update skip locked) as l;
  with claimed as (
    -- Looked up by arrays and objects, never joined: a plan made while the table was empty must do for a full one.
    update listener.delivery as d
    set state = 'running', attempt = d.attempt + 1, fence = nextval('listener.fence'), worker = take_%6$s.worker,
        claimed_at = moment, lease_until = moment + lease,
        word = case when words->>d.job_key = %4$L then %7$L else d.word end
    where d.id = any(candidates) and words->>d.job_key in (%4$L, d.word)
    returning d.*
  ), begun as (
    update %5$s as t set %8$s
    where t.%2$I = any(array(select c.job_key::%1$s from claimed as c where words->>c.job_key = %4$L))
    returning t.%2$I::text as key, to_jsonb(t) as row
  )
  select jsonb_build_object('jobs', coalesce(jsonb_agg(jsonb_build_object(
      'delivery', c.id, 'queue', q.name, 'key', c.job_key, 'fence', c.fence, 'attempt', c.attempt,
      'max_attempts', q.max_attempts, 'reached', case when c.word = any(%9$L) then c.word end,
      'row', coalesce((select jsonb_object_agg(b.key, b.row) from begun as b)->c.job_key, seen->c.job_key),
      'saved', c.checkpoint, 'snoozes', c.snoozes, 'origin', c.origin,
      'waited', extract(epoch from moment - c.first_due), 'late', extract(epoch from moment - c.run_at))
      order by c.priority desc, c.id), '[]'))
    || case when count(c.id) < cardinality(candidates)
         then jsonb_build_object('missed', (select jsonb_agg(m) from unnest(candidates) as m where not m = any(coalesce(array_agg(c.id), '{}'))))
         else '{}' end
    into taken from claimed as c join listener.queue as q on q.id = c.queue;
  -- A trigger of the table's own has the last word. A row that it keeps ready would be run again and again, uncounted.
  select t.%2$I::text into kept from %5$s as t where t.%2$I = any(keys::%1$s[]) and t.%3$I = %4$L and words->>t.%2$I::text = %4$L limit 1;
  if found then
    raise exception 'a trigger of %% keeps the row %% in the word %%', %11$L, kept, quote_literal(%4$L);
  end if;
  return taken;
end $body$, a.key_type, a.key_column, a.status_column, a.ready, a.table_name, a.id, a.running,
    listener.begin_sql(a), a.stages[2:], a.search_path, a.table_name));
  execute format('revoke all on function listener.take_%s from public', a.id);
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

-- insert_sql: the statement that makes deliveries of the captured rows `ready`; answers their queues.
create or replace function listener.insert_sql(a listener.attachment, origin text) returns text
language sql stable set search_path = ''
as $$
  select format($insert$
    insert into listener.delivery (attachment, queue, job_key, state, priority, run_at, first_due, origin)
    select %s, r.queue, r.key, case when r.run_at > clock_timestamp() then 'scheduled' else 'waiting' end,
           coalesce(r.priority, 0), due.at, due.at, %L
    from ready as r cross join lateral (select greatest(r.run_at, clock_timestamp()) as at) as due
    where r.queue is not null on conflict do nothing returning queue$insert$, a.id, origin)
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
