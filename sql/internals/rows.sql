-- write_rows: the only function that writes to a user's table. Changes are [{"key": …, "columns": {name: value}}]; rows
-- that set the same columns are written by one statement. The caller holds the rows' locks. Values become the columns'
-- types by Postgres' JSON conversion; an unknown column raises 42703. The table's own triggers run in the search path
-- in which the table was attached.
create or replace function listener.write_rows(a listener.attachment, changes jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  shape   record;
  unknown text;
  types   text;   -- only of the columns that are set: a domain that is never null refuses a missing value
begin
  for shape in
    select array(select jsonb_object_keys(change->'columns') order by 1) as names,
           jsonb_agg(change->'columns' || jsonb_build_object(a.key_column, change->'key')) as records,
           array_agg(change->>'key') as keys
    from jsonb_array_elements(changes) as change where change->'columns' <> '{}' group by 1
  loop
    select name into unknown from unnest(shape.names) as name
    where not exists (
      select from pg_catalog.pg_attribute as c
      where c.attrelid = a.table_name::regclass and c.attname = name and c.attnum > 0 and not c.attisdropped);
    if unknown is not null then
      raise exception 'the table % has no column %', a.table_name, quote_ident(unknown)
        using errcode = 'undefined_column',
          hint = 'A handler may return only columns of its table; add the column or return another name.';
    end if;
    select string_agg(format('%I %s', c.attname, format_type(c.atttypid, c.atttypmod)), ', ') into types
    from pg_catalog.pg_attribute as c
    where c.attrelid = a.table_name::regclass and c.attname = any(shape.names || a.key_column)
      and c.attnum > 0 and not c.attisdropped;
    perform set_config('search_path', listener.trigger_path(a), true);
    execute format('update %1$s as t set %2$s from jsonb_to_recordset($1) as r(%5$s)'
      ' where t.%3$I = r.%3$I and t.%3$I = any($2::%4$s[])',
      a.table_name, (select string_agg(format('%1$I = r.%1$I', name), ', ') from unnest(shape.names) as name),
      a.key_column, a.key_type, types) using shape.records, shape.keys;
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
end $$;

-- trigger_path: the search path in which the table's own triggers run. Postgres looks for types first in pg_temp, where
-- any role may create some, unless the path names pg_temp itself; here it comes last.
create or replace function listener.trigger_path(a listener.attachment) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select array_to_string(array(
    select s from unnest(string_to_array(a.search_path, ',')) as s where btrim(s, ' "') not in ('pg_temp', '')
  ) || 'pg_temp'::text, ',')
$$;

-- row_sql: the expressions of one captured row `r`: key, word, queue (null for a kind without a queue), priority,
-- run_at.
create or replace function listener.row_sql(a listener.attachment) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  of_row text := case when a.kind_path is not null then format('(r.%I->>%L)', a.kind_column, a.kind_path)
                      when a.kind_column is not null then format('r.%I::text', a.kind_column) end;
  queue  text;
begin
  select case when a.kind_column is null then min(q.id)::text
              else format('case %s %s end', of_row,
                string_agg(format('when %L then %s', q.kind, q.id), ' ' order by q.id)) end
    into queue from listener.queue as q where q.attachment = a.id;
  return format('r.%I::text as key, coalesce(r.%I::text, %L) as word, %s as queue, %s as priority, %s as run_at',
    a.key_column, a.status_column, '', queue,
    case when a.columns ? 'priority' then format('r.%I::int', a.columns->'priority'->>'name') else 'null::int' end,
    listener.moment_sql(a.columns->'run_at'));
end $$;

-- moment_sql: the expression for a time of the row `r`, in any unit of its column. Anybody may write that column,
-- so a time far off is brought into the years 1970 to 2100, with which Postgres can calculate.
create or replace function listener.moment_sql(col jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select case
    when col is null then 'null::timestamptz'
    when col->>'type' = 'bigint'
      then format('to_timestamp(least(greatest(r.%I, 0), 4102444800000) / 1000.0)', col->>'name')
    else format('least(greatest(r.%I, ''epoch''), ''2100-01-01Z''::timestamptz)', col->>'name') end
$$;
