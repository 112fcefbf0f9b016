-- guard: lets browsers (the roles anon and authenticated) do only this to the rows of a queue's table: insert ready
-- rows, cancel jobs that are not finished, make a failed job ready again, and edit columns that the service does not
-- write. The policies of the table decide whose rows these are, and who may delete them. Nothing changes for other
-- roles.
--   columns: further columns that only the service writes, such as download_url; null keeps those of the last call.
-- Returns {"queue", "table", "columns", "row_security": whether policies apply at all}. It may be called again, and
-- should be after a column was added, because browsers can't update a new column until then.
create or replace function listener.guard(queue text, columns text[] default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set jit = off
as $$
declare
  a       listener.attachment := listener.attached(guard.queue);
  wrong   text;
  granted jsonb := listener.update_grants(a);
begin
  if to_regclass(a.table_name) is null then
    raise exception 'the table % is gone', a.table_name using hint = format('select listener.detach(%L);', a.name);
  end if;
  if granted = '{}' then
    raise exception 'there is no role anon or authenticated, so no browser to guard % against', a.table_name
      using hint = 'Guard the tables of a Supabase project, or run the preset supabase_shim first.';
  end if;
  select c into wrong from unnest(guard.columns) as c
  where c in (a.key_column, a.status_column) or not exists (
    select from pg_catalog.pg_attribute as t
    where t.attrelid = to_regclass(a.table_name) and t.attname = c and t.attnum > 0 and not t.attisdropped
      and t.attgenerated = '');
  if wrong is not null then
    raise exception '% has no column % that only the service writes', a.table_name, quote_ident(wrong)
      using hint = 'Name columns that the handler returns, but not the key, the status or a generated column.';
  end if;
  select t.name into wrong from listener.guarded as g join listener.attachment as t on t.id = g.attachment
  where t.table_name = a.table_name and t.id <> a.id;
  if wrong is not null then
    raise exception '% is guarded already, as %', a.table_name, wrong
      using hint = format('select listener.unguard(%L);', wrong);
  end if;

  insert into listener.guarded as t (attachment, columns, granted) values (a.id, coalesce(guard.columns, '{}'), granted)
  on conflict (attachment) do update set columns = coalesce(guard.columns, t.columns);
  perform listener.generate_guard(a);
  return jsonb_build_object('queue', a.name, 'table', a.table_name, 'columns', listener.guarded_columns(a),
    'row_security', (select c.relrowsecurity from pg_catalog.pg_class as c where c.oid = to_regclass(a.table_name)));
exception when lock_not_available then
  raise exception '% is busy: it could not be guarded within two seconds', a.table_name
    using hint = 'Find the long transaction on the table in pg_stat_activity, and try again.';
end $$;
