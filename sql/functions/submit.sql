-- submit: inserts a row as a job, in the ready word unless the columns say another; answers its key.
-- Columns that are not given keep their defaults.
create or replace function listener.submit(queue text, columns jsonb default '{}') returns text
language plpgsql security definer set search_path = '' set row_security = off
as $$
declare
  a      listener.attachment;
  target listener.queue;
  vals   jsonb;
  names  text;
  key    text;
begin
  a := listener.attached(submit.queue);
  select * into target from listener.queue as q where q.name = submit.queue;
  vals := jsonb_build_object(a.status_column, a.ready) || columns;
  if target.kind is not null then
    -- The kind stands in a column, or one level down in a JSON column.
    vals := vals || case when a.kind_path is null then jsonb_build_object(a.kind_column, target.kind)
      else jsonb_build_object(a.kind_column, coalesce(vals->a.kind_column, '{}') || jsonb_build_object(a.kind_path, target.kind)) end;
  end if;
  select string_agg(quote_ident(c), ', ') into names from jsonb_object_keys(vals) as c;
  perform set_config('search_path', a.search_path, true);
  execute format('insert into %1$s (%2$s) select %2$s from jsonb_populate_record(null::%1$s, $1) returning %3$I::text',
    a.table_name, names, a.key_column) into key using vals;
  return key;
end $$;
