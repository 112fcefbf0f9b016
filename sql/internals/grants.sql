-- grant_verbs: lets a role run the service over a connection of its own, and do nothing else: it may call the service's
-- verbs, and touches neither the tables of the schema listener nor those of users. What it knows of a row comes with the claim;
-- of others it may see what the service writes into them.
create or replace function listener.grant_verbs(role regrole) returns void
language plpgsql set search_path = ''
as $$
declare verb regprocedure;
begin
  execute format('grant usage on schema listener to %s', role);
  for verb in
    select p.oid from pg_catalog.pg_proc as p
    where p.pronamespace = 'listener'::regnamespace and p.proname = any(listener.service_verbs())
  loop
    execute format('grant execute on function %s to %s', verb, role);
  end loop;
end $$;
