-- checkpoint: stores what the next attempt must know, beside the delivery; the row is not touched.
-- Batch: [{"delivery", "fence", "value"}].
create or replace function listener.checkpoint(batch jsonb) returns jsonb
language sql security definer set search_path = ''
as $$ select listener.each('checkpoint', batch) $$;

create or replace function listener.apply_checkpoint(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare grips listener.grip[] := listener.hold_deliveries(batch, patient);
begin
  update listener.delivery as d set checkpoint = item->'value'
  from jsonb_array_elements(batch) as item
  where d.id = any(array(select g.delivery from unnest(grips) as g where g.standing = 'held'))
    and (d.id, d.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint);
  return listener.answer(batch, grips);
end $$;
