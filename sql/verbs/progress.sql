-- progress: shows in the users' rows how far jobs are. Batch: [{"delivery", "fence", "percent"?, "message"?}].
-- A row that is locked is skipped, because the next progress comes soon.
create or replace function listener.progress(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$ select listener.apply_batch('progress', batch) $$;

create or replace function listener.apply_progress(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  a        listener.attachment;
  attempts listener.locked_attempt[];
begin
  select array_agg(l) into attempts from listener.lock_attempts(batch, false) as l;
  for a in select * from listener.attachment as t where t.id in (select l.attachment from unnest(attempts) as l) loop
    perform listener.write_rows(a, (
      select jsonb_agg(jsonb_build_object('key', h.job_key, 'columns',
        listener.state_columns(a, jsonb_strip_nulls(jsonb_build_object(
          'progress', case when a.columns->'progress'->>'type' in ('smallint', 'integer', 'bigint')
                           then to_jsonb(floor((h.item->>'percent')::numeric)) else h.item->'percent' end,
          'message', h.item->'message')))))
      from listener.held(batch, attempts) as h
      where h.attachment = a.id and (a.columns ? 'progress' or a.columns ? 'message')));
  end loop;
  return listener.outcomes(batch, attempts);
end $$;
