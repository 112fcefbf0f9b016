-- heartbeat: extends the leases of the attempts that a worker runs, and only of those.
--   batch: [{"delivery", "fence"}]; beat: the time between two heartbeats.
--   known: the worker has received the answers of all its claims with fences up to this one, or they are lost. Heartbeats
--          and claims may overtake each other, so newer claims are left alone. Without it their age decides.
-- Returns {"lost": [{"delivery", "fence", "cancelled"}], "released": n, "fence": the newest fence of all workers}.
--   lost      attempts that are over for the worker, also because their table was dropped
--   released  the number of the worker's claims that the batch does not name although they are known, or older than two
--             beats.
--             The worker never received them, so nobody runs them: they go back at once and count no attempt.
create or replace function listener.heartbeat(worker text, batch jsonb, lease interval default '20 seconds',
  beat interval default '5 seconds', known bigint default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare
  moment   timestamptz := clock_timestamp();
  ids      bigint[];
  fences   bigint[];
  dropped  int[];    -- attachments whose table is gone; one that was only renamed may be attached again
  mine     bigint[];
  lost     jsonb;
  unnamed  bigint[];
  woken    int[];
begin
  update listener.worker as w set seen_at = moment
  where w.id = heartbeat.worker and w.seen_at < moment - interval '10 seconds';
  select n.ids, n.fences into ids, fences from listener.named_attempts(batch) as n;
  dropped := array(select a.id from listener.attachment as a where not exists (
                     select from pg_catalog.pg_class as c where c.oid in (a.relation, to_regclass(a.table_name))));

  -- A delivery that somebody has locked is being changed: the next heartbeat shows whether it is still ours.
  mine := array(
    select d.id from listener.delivery as d
    where d.id = any(ids) and d.fence = any(fences) and d.state = 'running' and not d.attachment = any(dropped)
    for no key update skip locked);
  update listener.delivery as d set lease_until = moment + lease where d.id = any(mine);

  select jsonb_agg(jsonb_build_object('delivery', named.id, 'fence', named.fence, 'cancelled', d.id is null)) into lost
  from unnest(ids, fences) as named(id, fence) left join listener.delivery as d on d.id = named.id
  where d.id is null or d.fence <> named.fence or d.state <> 'running' or d.attachment = any(dropped);

  unnamed := array(
    select d.id from listener.delivery as d
    where d.state = 'running' and d.worker = heartbeat.worker
      and case when known is null then d.claimed_at < moment - 2 * beat else d.fence <= known end
      and not d.fence = any(fences) for no key update skip locked);
  if cardinality(unnamed) > 0 then
    with freed as (
      update listener.delivery as d
      set state = 'waiting', attempt = d.attempt - 1, worker = null, lease_until = null, run_at = moment
      where d.id = any(unnamed) returning d.queue
    )
    select array_agg(distinct f.queue) into woken from freed as f;
    perform listener.wake_queues(woken);
  end if;
  return jsonb_build_object('lost', coalesce(lost, '[]'), 'released', cardinality(unnamed),
    'fence', (select s.last_value from listener.fence as s));
end $$;
