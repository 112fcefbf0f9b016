-- checkpoint: stores with the delivery what the next attempt must know; the row is not touched.
-- Batch: [{"delivery", "fence", "value"}].
create or replace function listener.checkpoint(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.apply_batch('checkpoint', batch) $$;

create or replace function listener.apply_checkpoint(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare attempts listener.locked_attempt[] := listener.lock_deliveries(batch, patient);
begin
  update listener.delivery as d set checkpoint = h.item->'value'
  from listener.held(batch, attempts) as h
  where d.id = h.delivery and d.id = any(array(select l.delivery from unnest(attempts) as l));
  return listener.outcomes(batch, attempts);
end $$;
