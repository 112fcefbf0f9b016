-- submit: inserts a row as a job, in the ready word unless the columns name another, and returns its key. A column
-- that is not given keeps its default.
create or replace function listener.submit(queue text, columns jsonb default '{}') returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$
declare
  a      listener.attachment;
  target listener.queue;
  vals   jsonb;
  names  text;
  types  text;
  key    text;
begin
  a := listener.attached(submit.queue);
  select * into target from listener.queue as q where q.name = submit.queue;
  vals := jsonb_build_object(a.status_column, a.ready) || columns;
  if target.kind is not null then
    -- The kind is in a column, or one level down in a JSON column.
    vals := vals || case when a.kind_path is null then jsonb_build_object(a.kind_column, target.kind)
      else jsonb_build_object(a.kind_column,
        coalesce(vals->a.kind_column, '{}') || jsonb_build_object(a.kind_path, target.kind)) end;
  end if;
  -- Only the columns that are given: a domain that is never null refuses a missing value.
  select string_agg(quote_ident(v), ', '),
         string_agg(format('%I %s', v, format_type(c.atttypid, c.atttypmod)), ', ') filter (where c.attname is not null)
    into names, types from jsonb_object_keys(vals) as v
    left join pg_catalog.pg_attribute as c
      on c.attrelid = a.table_name::regclass and c.attname = v and not c.attisdropped;
  perform set_config('search_path', listener.trigger_path(a), true);
  execute format('insert into %1$s (%2$s) select %2$s from jsonb_to_record($1) as r(%4$s) returning %3$I::text',
    a.table_name, names, a.key_column, types) into key using vals;
  return key;
end $$;
