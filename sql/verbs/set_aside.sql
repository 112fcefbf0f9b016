-- set_aside: ends attempts whose job can't run or whose outcome can't be written: their deliveries become `broken`, and
-- their rows stay as they are. Batch: [{"delivery", "fence", "error"}].
create or replace function listener.set_aside(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.apply_batch('set_aside', batch) $$;

create or replace function listener.apply_set_aside(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare attempts listener.locked_attempt[] := listener.lock_deliveries(batch, patient);
begin
  insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
  select h.queue, h.job_key, h.attempt, h.fence, h.worker, 'failed', h.item->>'error', h.claimed_at
  from listener.held(batch, attempts) as h;
  update listener.delivery as d set state = 'broken', lease_until = null, error = h.item->>'error'
  from listener.held(batch, attempts) as h
  where d.id = h.delivery and d.id = any(array(select l.delivery from unnest(attempts) as l));
  return listener.outcomes(batch, attempts);
end $$;
