-- state_columns: the columns, and their values, that show a state in the user's row.
--   vals: role (status, progress, message, error, started_at, finished_at) -> value. A role without a column is left
--   out. A time given as true becomes the present, in the column's own unit. An error is a text or an object with a
--   message: a jsonb column gets the object and the time, any other column the message, cut to a varchar's length.
create or replace function listener.state_columns(a listener.attachment, vals jsonb) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
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
