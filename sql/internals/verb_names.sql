-- verbs: the functions that are called from outside: by the service, and by people as well.
create or replace function listener.service_verbs() returns text[]
language sql immutable set search_path = ''
as $$
  select '{schema_version, register, unregister, take, claim, heartbeat, progress, stage, checkpoint, complete, fail, retry, snooze,
    release, rescue, reconcile, prune, stats, overview, stuck, glance}'::text[]
$$;

create or replace function listener.verbs() returns text[]
language sql immutable set search_path = ''
as $$
  select listener.service_verbs() || '{attach, detach, adopt, requeue, cancel, pause, resume, backlog, submit, jobs, look,
    guard, unguard}'::text[]
$$;
