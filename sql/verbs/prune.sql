-- prune: deletes history older than `keep` and workers that ended long ago, in one small batch. One process at a time.
-- Returns how many attempts it deleted.
create or replace function listener.prune(keep interval default '30 days', most int default 5000) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare pruned int;
begin
  if not pg_try_advisory_xact_lock(hashtext('listener.prune')) then
    return 0;
  end if;
  delete from listener.worker as w where w.seen_at < clock_timestamp() - interval '10 minutes';
  -- Attempts end roughly in the order of their ids: the oldest stand at the front of the primary key.
  delete from listener.attempt as t
  where t.id = any(array(select o.id from (select id, finished_at from listener.attempt order by id limit most) as o
                         where o.finished_at < clock_timestamp() - keep));
  get diagnostics pruned = row_count;
  return pruned;
end $$;
