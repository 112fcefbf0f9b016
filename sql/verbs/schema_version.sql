-- schema_version: the migrations that were applied, for a program to compare with those that it knows.
create or replace function listener.schema_version() returns text[]
language sql stable security definer set search_path = ''
as $$ select coalesce(array_agg(m.name order by m.name), '{}') from listener.migration as m where m.name like 'migrations/%' $$;
