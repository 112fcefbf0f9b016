-- unguard: undoes guard: browsers may update the columns that they could update before. Returns whether there was a
-- guard.
create or replace function listener.unguard(queue text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set jit = off
as $$
declare
  a       listener.attachment := listener.attached(unguard.queue);
  -- A table that was renamed is found by its oid.
  t       regclass := coalesce(to_regclass(a.table_name),
                        (select c.oid from pg_catalog.pg_class as c where c.oid = a.relation));
  granted jsonb;
begin
  delete from listener.guarded as g where g.attachment = a.id returning g.granted into granted;
  if not found then
    return false;
  end if;
  if t is not null then
    perform listener.grant_updates(t, granted, '{}');
  end if;
  execute format('drop function if exists listener.guard_%s() cascade', a.id);
  return true;
end $$;
