-- schema_version: the names of the migrations that were applied, which a program compares with those that it knows.
create or replace function listener.schema_version() returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
  select coalesce(array_agg(m.name order by m.name), '{}') from listener.migration as m where m.name like 'migrations/%'
$$;
