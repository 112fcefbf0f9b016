-- service_verbs: the functions that the service calls.
create or replace function listener.service_verbs() returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select '{schema_version, register, unregister, take, claim, heartbeat, progress, stage, checkpoint, complete, fail,
    retry, snooze, release, set_aside, postpone_next, rescue, reconcile, prune, stats, overview, stuck, job_public}'::text[]
$$;

-- verbs: all functions that may be called from outside: by the service, and by people as well.
create or replace function listener.verbs() returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select listener.service_verbs() || '{attach, detach, adopt, requeue, cancel, pause, resume, backlog, submit, jobs,
    job, guard, unguard}'::text[]
$$;

-- grant_verbs: lets a role run the service over its own connection, and do nothing else: it may call the service's
-- verbs, and touches neither the tables of the schema listener nor those of users. A claim returns a job's row to it;
-- of other rows it may see what the service writes into them.
create or replace function listener.grant_verbs(role regrole) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare verb regprocedure;
begin
  execute format('grant usage on schema listener to %s', role);
  for verb in
    select p.oid from pg_catalog.pg_proc as p
    where p.pronamespace = 'listener'::regnamespace and p.proname = any(listener.service_verbs() || '{glance}')
  loop
    execute format('grant execute on function %s to %s', verb, role);
  end loop;
end $$;

-- expose: lets Supabase's REST API call the verbs, as functions public.listener_<verb> with the same arguments, because
-- a project exposes the schema public. Only the role service_role may call them. Where this role does not exist, or
-- nothing can be made in public, there are none. Runs after every change of the functions.
create or replace function listener.expose() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  old  regprocedure;
  verb record;
  name text;
  role text;
begin
  for old in select p.oid from pg_catalog.pg_proc as p
             where p.pronamespace = to_regnamespace('public')
               and obj_description(p.oid, 'pg_proc') like 'listener.%, for the REST API'
  loop
    execute format('drop function %s', old);
  end loop;
  -- has_schema_privilege returns null for a schema that does not exist.
  if to_regrole('service_role') is null
     or has_schema_privilege(to_regnamespace('public')::oid, 'create') is not true then
    return;
  end if;
  for verb in
    select p.proname, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result,
           array_to_string(array(select '$' || n from generate_series(1, p.pronargs) as n), ', ') as given
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'listener'::regnamespace and p.proname = any(listener.verbs() || listener.former_verbs())
  loop
    name := format('public.%I', 'listener_' || verb.proname);
    execute format('create function %s(%s) returns %s language sql security definer'
      ' set search_path = pg_catalog, pg_temp as %L',
      name, verb.arguments, verb.result, format('select listener.%I(%s)', verb.proname, verb.given));
    execute format('comment on function %s is %L', name, format('listener.%s, for the REST API', verb.proname));
    execute format('revoke all on function %s from public', name);
    -- Older projects grant new functions of public to the browser's roles by default.
    for role in select r.rolname from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated') loop
      execute format('revoke all on function %s from %I', name, role);
    end loop;
    execute format('grant execute on function %s to service_role', name);
  end loop;
  -- The REST API reloads its list of functions on this notification; Supabase sends it anyway.
  notify pgrst, 'reload schema';
end $$;
