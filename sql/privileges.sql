-- Run after every change of the functions: nobody but the owner, and whom the owner lets, may call them. Older
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
  -- A function that was made anew has lost what the preset worker_role granted.
  if to_regrole('listener_worker') is not null and has_schema_privilege('listener_worker', 'listener', 'usage') then
    perform listener.grant_verbs('listener_worker');
  end if;
end $$;
