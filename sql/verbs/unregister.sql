-- unregister: forgets a process that ends in order; one that dies is forgotten by prune.
create or replace function listener.unregister(worker text) returns void
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ delete from listener.worker as w where w.id = unregister.worker $$;
