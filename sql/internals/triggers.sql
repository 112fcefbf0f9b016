-- generate_triggers: writes the capture triggers of one attachment. Their text is static, so that Postgres plans it
-- once in a session. What a change means is decided in capture.sql.
create or replace function listener.generate_triggers(attachment int) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  a          listener.attachment;
  event      text;
  name       text;
  body       text;
  transition text;
begin
  select * into strict a from listener.attachment where id = generate_triggers.attachment;

  foreach event in array listener.captured_events() loop
    name := format('capture_%s_%s', event, a.id);
    case event
    when 'insert' then
      transition := 'referencing new table as new_rows';
      body := listener.insert_body(a);
    when 'update' then
      transition := 'referencing old table as old_rows new table as new_rows';
      body := listener.update_body(a);
    when 'delete' then
      transition := 'referencing old table as old_rows';
      body := listener.gone_body(a, format('select r.%I::text as key from old_rows as r', a.key_column));
    when 'truncate' then
      transition := '';
      body := listener.gone_body(a,
        format('select d.job_key as key from listener.delivery as d where d.attachment = %s', a.id));
    end case;

    execute format('create or replace function listener.%I() returns trigger language plpgsql security definer'
      ' set search_path = pg_catalog, pg_temp set jit = off %s as %L', name,
      case when event <> 'insert' then 'set row_security = off set enable_seqscan = off' end
      -- The plan of a small statement serves large ones, too, and a nested loop over transition tables is quadratic:
      -- 16,000 rows took 49 s on Postgres 15.
        || case when event = 'update' then ' set enable_nestloop = off' else '' end,
      format($body$%s
  return null;
-- The user's statement comes first: reconcile finds what is missed here.
exception when others then
  raise warning 'listener could not capture a change of %%: %%', %L, sqlerrm;
  return null;
end $body$, body, a.table_name));
    execute format('revoke all on function listener.%I() from public', name);
    -- A table that was dropped or renamed gets no new trigger.
    continue when to_regclass(a.table_name) is null or exists (
      select from pg_catalog.pg_trigger as t where t.tgrelid = to_regclass(a.table_name)
        and t.tgname = format('listener_%s_%s', event, a.id) and (event <> 'update' or t.tgqual is not null));
    execute format(
      'create or replace trigger %I after %s on %s %s for each statement %s execute function listener.%I()',
      format('listener_%s_%s', event, a.id), event, a.table_name, transition,
      -- A claim checks its own writes, but not what triggers of the table write meanwhile. Anybody else who sets this
      -- hides a change only for a while: the worker's next write meets the word, or reconcile meets the row.
      case event when 'update' then
        format('when (current_setting(%L, true) is distinct from %L or pg_trigger_depth() > 0)',
          'listener.claiming', 'on') end,
      name);
  end loop;
  if to_regclass(a.table_name) is not null then
    perform listener.generate_guard(a);
  end if;
end $$;

-- insert_body: captures new rows; like the next two it returns the beginning of a trigger's function. New rows have no
-- deliveries yet, so one statement does it all. When a delivery with the same key was left behind, it restarts, and its
-- worker learns this by its next heartbeat.
create or replace function listener.insert_body(a listener.attachment) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select format(case when a.wake = 'notify' and a.kind_column is null then $body$
begin
  %1$s;
  if found then
    perform pg_notify('listener_wake', %2$L);
  end if;$body$ else $body$
declare queues int[];
begin
  with captured as (%1$s returning d.queue)
  select array_agg(distinct c.queue) into queues from captured as c;
  if queues is not null then
    perform listener.wake(%3$L, queues);
  end if;$body$ end, listener.insert_sql(a, 'insert', format('(select %s from new_rows as r where r.%I = %L)',
    listener.row_sql(a), a.status_column, a.ready)) || listener.restart_sql(), a.name, a.wake)
$$;

-- update_body: captures rows whose word changed, where row and delivery disagree. The service's own writes leave here
-- without any call.
create or replace function listener.update_body(a listener.attachment) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select format($body$
declare keys text[]; words text[]; queues int[]; priorities int[]; run_ats timestamptz[]; woken int[]; stopped int[];
begin
  select array_agg(c.key), array_agg(c.word), array_agg(c.queue), array_agg(c.priority), array_agg(c.run_at)
    into keys, words, queues, priorities, run_ats
  from (
    select %1$s from new_rows as r left join old_rows as o on o.%2$I = r.%2$I
    where o.%2$I is null or o.%3$I is distinct from r.%3$I
    union all
    select o.%2$I::text, null, null, null, null from old_rows as o
    where not exists (select from new_rows as r where r.%2$I = o.%2$I)
  ) as c
  -- One look-up in the index for each row, however wrong the statistics of the delivery table are.
  left join lateral (
    select t.state from listener.delivery as t where t.attachment = %4$s and t.job_key = c.key limit 1
  ) as d on true
  where case when c.word = %5$L then d.state is null or d.state in ('running', 'broken')
             when c.word = any(%6$L) then d.state <> 'running'
             else d.state is not null end;
  if keys is not null then
    if %5$L = any(words) then
      %7$s into woken, stopped;
      perform listener.wake(%8$L, woken);
      perform listener.stop(stopped);
    end if;
    perform listener.capture(%4$s, keys, words);
  end if;$body$, listener.row_sql(a), a.key_column, a.status_column, a.id, a.ready, a.stages || a.running,
    listener.capture_ready_sql(a, 'update', format('(select * from unnest(keys, words, queues, priorities, run_ats)'
      ' as c(key, word, queue, priority, run_at) where c.word = %L)', a.ready)), a.wake)
$$;

-- gone_body: captures rows that were deleted; `gone` is a query of their keys.
create or replace function listener.gone_body(a listener.attachment, gone text) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select format($body$
declare keys text[];
begin
  select array_agg(c.key) into keys from (%s) as c;
  if keys is not null then
    perform listener.capture(%s, keys, null);
  end if;$body$, gone, a.id)
$$;

-- captured_events: the statements that an attached table has a trigger for.
create or replace function listener.captured_events() returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select array['insert', 'update', 'delete', 'truncate'] $$;
