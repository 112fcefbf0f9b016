-- stage: moves a row to another of its running words and stores that stage's columns in the same transaction.
-- Batch: [{"delivery", "fence", "stage", "columns"?}]. After a crash the next attempt resumes at the stage reached.
create or replace function listener.stage(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$ select listener.apply_batch('stage', batch) $$;

create or replace function listener.apply_stage(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  a        listener.attachment;
  attempts listener.locked_attempt[];
  one      record;
begin
  select array_agg(l) into attempts from listener.lock_attempts(batch, patient) as l;
  for one in select h.*, h.item->>'stage' as stage from listener.held(batch, attempts) as h loop
    select * into strict a from listener.attachment as t where t.id = one.attachment;
    if not one.stage = any(a.stages) then
      raise exception '% is not a stage of %', quote_literal(one.stage), a.name
        using hint = format('Its stages are %s; name another in attach(…, stages => …).', a.stages);
    end if;
    update listener.delivery as d set word = one.stage where d.id = one.delivery;
    perform listener.write_rows(a, jsonb_build_array(jsonb_build_object('key', one.job_key, 'columns',
      coalesce(one.item->'columns', '{}')
        || listener.state_columns(a, jsonb_build_object('status', one.stage)))));
  end loop;
  return listener.outcomes(batch, attempts);
end $$;
