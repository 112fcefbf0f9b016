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

-- captured: what the triggers of an attached table hear of.
create or replace function listener.captured() returns text[]
language sql immutable set search_path = ''
as $$ select array['insert', 'update', 'delete', 'truncate'] $$;
