-- reconcile: finds ready rows that have no delivery, for any reason (a trigger that failed or was disabled,
-- replication, a bulk load in replica mode, a table made anew), at most `most` of each attachment in one call.
-- Returns [{"attachment", "queues": {name: found}, "more", "problem"?}]; a problem names triggers that are missing or
-- disabled, or says why the rows can't be read.
create or replace function listener.reconcile(most int default 1000) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
set lock_timeout = '300ms' set jit = off
as $$
declare
  a       listener.attachment;
  one     jsonb;
  reports jsonb := '[]';
begin
  for a in select * from listener.attachment order by id loop
    begin
      one := listener.reconcile_one(a, most);
    exception when others then
      one := jsonb_build_object('problem', format('rows of %s can''t be read: %s', a.table_name, sqlerrm));
    end;
    reports := reports || (one || jsonb_build_object('attachment', a.name));
  end loop;
  return reports;
end $$;
