-- The objects that applying and recording any other file needs.
do $$ begin
  if to_regnamespace('listener') is null then create schema listener; end if;
end $$;

create table if not exists listener.migration (
  name text primary key, checksum text not null, applied_at timestamptz not null default now()
);

-- drop_functions: drops all functions of these names, because their arguments may change from version to version.
create or replace function listener.drop_functions(names text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare old text;
begin
  for old in select p.oid::regprocedure from pg_catalog.pg_proc as p
             where p.pronamespace = 'listener'::regnamespace and p.proname = any(names) loop
    execute format('drop function %s', old);
  end loop;
end $$;
