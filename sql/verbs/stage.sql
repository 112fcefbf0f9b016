-- stage: moves a row to another of its running words and stores that stage's columns in the same transaction.
-- Batch: [{"delivery", "fence", "stage", "columns"?}]. After a crash the next attempt resumes at the stage reached.
create or replace function listener.stage(batch jsonb) returns jsonb
language sql security definer set search_path = '' set row_security = off
as $$ select listener.each('stage', batch) $$;

create or replace function listener.apply_stage(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  a     listener.attachment;
  grips listener.grip[];
  item  jsonb;
  grip  listener.grip;
begin
  select array_agg(h) into grips from listener.hold(batch, patient) as h;
  for item in select * from jsonb_array_elements(batch) loop
    select g.* into grip from unnest(grips) as g where (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint) and g.standing = 'held';
    continue when not found;
    select * into strict a from listener.attachment as t where t.id = grip.attachment;
    if not (item->>'stage') = any(a.stages) then
      raise exception '% is no stage of %', quote_literal(item->>'stage'), a.name
        using hint = format('Its stages are %s; name another in attach(…, stages => …).', a.stages);
    end if;
    update listener.delivery as d set word = item->>'stage' where d.id = grip.delivery;
    perform listener.write_rows(a, jsonb_build_array(jsonb_build_object('key', grip.job_key, 'columns',
      coalesce(item->'columns', '{}') || listener.paint(a, jsonb_build_object('status', item->'stage')))));
  end loop;
  return listener.answer(batch, grips);
end $$;
