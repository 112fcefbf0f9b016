-- checkpoint: stores what the next attempt must know, beside the delivery; the row is not touched.
-- Batch: [{"delivery", "fence", "value"}].
create or replace function listener.checkpoint(batch jsonb) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off
as $$
declare
  item   jsonb;
  answer jsonb := '[]';
begin
  for item in select i from jsonb_array_elements(batch) as i order by (i->>'delivery')::bigint loop
    update listener.delivery as d set checkpoint = item->'value'
    where d.id = (item->>'delivery')::bigint and d.fence = (item->>'fence')::bigint and d.state = 'running';
    answer := answer || jsonb_build_object('delivery', item->'delivery', 'outcome', case when found then 'ok' else 'lost' end);
  end loop;
  return answer;
end $$;
