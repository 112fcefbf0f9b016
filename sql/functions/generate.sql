-- generate: writes the three capture triggers of one attachment and their functions. The text that a trigger
-- runs is static, so that a user's INSERT pays for no planning, and thin: what a change means stands in capture.
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

  foreach op in array array['insert', 'update', 'delete'] loop
    case op
    when 'insert' then
      transition := 'new table as new_rows';
      rows_sql := format('select %s from new_rows as r where r.%I = %L', row_sql, a.status_column, a.ready);
    when 'update' then
      transition := 'old table as old_rows new table as new_rows';
      rows_sql := format(
        'select %1$s from new_rows as r left join old_rows as o on o.%2$I = r.%2$I'
        ' where o.%2$I is null or o.%3$I is distinct from r.%3$I'
        ' union all select o.%2$I::text, null, null, null, null from old_rows as o'
        ' where not exists (select from new_rows as r where r.%2$I = o.%2$I)',
        row_sql, a.key_column, a.status_column);
    when 'delete' then
      transition := 'old table as old_rows';
      rows_sql := format('select r.%I::text as key, null as word, null::int as queue, null::int as priority,'
        ' null::timestamptz as run_at from old_rows as r', a.key_column);
    end case;

    body := format($body$
declare keys text[]; words text[]; queues int[]; priorities int[]; run_ats timestamptz[];
begin
  select array_agg(c.key), array_agg(c.word), array_agg(c.queue), array_agg(c.priority), array_agg(c.run_at)
    into keys, words, queues, priorities, run_ats from (%s) as c;
  if keys is not null then
    perform listener.capture(%s, keys, words, queues, priorities, run_ats, %L);
  end if;
  return null;
-- The user's statement comes first: what is missed here is found by reconcile.
exception when others then
  raise warning 'listener could not capture a change of %s: %%', sqlerrm;
  return null;
end $body$, rows_sql, a.id, op, replace(a.table_name, '%', '%%'));

    execute format('create or replace function listener.%I() returns trigger language plpgsql'
      ' security definer set search_path = %L set row_security = off as %L',
      format('capture_%s_%s', op, a.id), '', body);
    execute format('revoke all on function listener.%I() from public', format('capture_%s_%s', op, a.id));
    if not exists (select from pg_catalog.pg_trigger as t
                   where t.tgrelid = a.relation and t.tgname = format('listener_%s_%s', op, a.id)) then
      execute format('create trigger %I after %s on %s referencing %s for each statement execute function listener.%I()',
        format('listener_%s_%s', op, a.id), op, a.table_name, transition, format('capture_%s_%s', op, a.id));
    end if;
  end loop;
end $$;

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

-- moment_sql: the expression for a time of the row `r`, in whichever unit its column has.
create or replace function listener.moment_sql(col jsonb) returns text
language sql immutable set search_path = ''
as $$
  select case when col is null then 'null::timestamptz'
              when col->>'type' = 'bigint' then format('to_timestamp(r.%I / 1000.0)', col->>'name')
              else format('r.%I', col->>'name') end
$$;
