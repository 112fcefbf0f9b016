-- write_rows: the one place that writes to a user's table. Changes are [{"key": …, "columns": {name: value}}];
-- rows that set the same columns are written by one statement. The caller holds the rows' locks.
-- Values become the columns' types by Postgres' own JSON conversion; an unknown column raises 42703. The table's own
-- triggers run in the search path that they were written for.
create or replace function listener.write_rows(a listener.attachment, changes jsonb) returns void
language plpgsql set search_path = '' set enable_seqscan = off
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
    where not exists (select from pg_catalog.pg_attribute as c
                      where c.attrelid = a.table_name::regclass and c.attname = name and c.attnum > 0 and not c.attisdropped);
    if unknown is not null then
      raise exception 'the table % has no column %', a.table_name, quote_ident(unknown) using errcode = 'undefined_column',
        hint = 'A handler may return only columns of its table; add the column or return another name.';
    end if;
    select string_agg(format('%I %s', c.attname, format_type(c.atttypid, c.atttypmod)), ', ') into types
    from pg_catalog.pg_attribute as c
    where c.attrelid = a.table_name::regclass and c.attname = any(shape.names || a.key_column) and c.attnum > 0 and not c.attisdropped;
    perform set_config('search_path', a.search_path, true);
    execute format('update %1$s as t set %2$s from jsonb_to_recordset($1) as r(%5$s)'
      ' where t.%3$I = r.%3$I and t.%3$I = any($2::%4$s[])',
      a.table_name, (select string_agg(format('%1$I = r.%1$I', name), ', ') from unnest(shape.names) as name),
      a.key_column, a.key_type, types) using shape.records, shape.keys;
    perform set_config('search_path', '', true);
  end loop;
end $$;

-- paint: the columns that show a state in the user's row, of those that the attachment has.
--   values: role (status, progress, message, error, started_at, finished_at) -> value; a role without a column
--   is left out. Times given as true become now, in the column's own unit. An error is a text or an object with a message:
--   a jsonb column gets the object and the time, any other the message, cut to the length of a varchar.
create or replace function listener.paint(a listener.attachment, vals jsonb) returns jsonb
language sql stable set search_path = ''
as $$
  select coalesce(jsonb_object_agg(target.name, case
      when role in ('started_at', 'finished_at', 'updated_at') and value = 'true' then
        case target.type when 'bigint' then to_jsonb((extract(epoch from clock_timestamp()) * 1000)::bigint)
                         else to_jsonb(clock_timestamp()) end
      when role = 'error' and target.type in ('json', 'jsonb') and value <> 'null' then
        case jsonb_typeof(value) when 'object' then value else jsonb_build_object('message', value) end
          || jsonb_build_object('time', clock_timestamp())
      when target.length is not null then to_jsonb(left(coalesce(value->>'message', value #>> '{}'), target.length))
      when role = 'error' then coalesce(value->'message', value)
      else value end), '{}')
  from jsonb_each(vals || '{"updated_at": true}') as given(role, value)
  cross join lateral (
    select a.columns->role->>'name' as name, a.columns->role->>'type' as type,
           (a.columns->role->>'length')::int as length where a.columns ? role
    union all
    select a.status_column, 'text', null where role = 'status'
  ) as target
  where not (value = 'null' and coalesce((a.columns->role->>'required')::boolean, false))
$$;
