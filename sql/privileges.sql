-- Runs after every change of the functions: only the owner may call them, and roles to which the owner grants it. Older
-- Supabase projects grant new functions to the browser's roles by default, so these are named too.
do $$
declare browser text;
begin
  revoke all on all functions in schema listener from public;
  revoke all on schema listener from public;
  for browser in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
    execute format('revoke all on all functions in schema listener from %I', browser);
    execute format('revoke all on all tables in schema listener from %I', browser);
    execute format('revoke all on schema listener from %I', browser);
  end loop;
  -- A function that was dropped and created again has lost the grants of the preset worker_role.
  if to_regrole('listener_worker') is not null and has_schema_privilege('listener_worker', 'listener', 'usage') then
    perform listener.grant_verbs('listener_worker');
  end if;
end $$;
