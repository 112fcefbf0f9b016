-- progress: shows how far jobs are, in the user's rows. Batch: [{"delivery", "fence", "percent"?, "message"?}].
-- A row that is locked is passed over: the next progress comes soon.
create or replace function listener.progress(batch jsonb) returns jsonb
language sql security definer set search_path = '' set row_security = off
as $$ select listener.each('progress', batch) $$;

create or replace function listener.apply_progress(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  a     listener.attachment;
  grips listener.grip[];
begin
  select array_agg(h) into grips from listener.hold(batch, false) as h;
  for a in select * from listener.attachment as t where t.id in (select g.attachment from unnest(grips) as g) loop
    perform listener.write_rows(a, (
      select jsonb_agg(jsonb_build_object('key', g.job_key, 'columns', listener.paint(a, jsonb_strip_nulls(jsonb_build_object(
        'progress', case when a.columns->'progress'->>'type' in ('smallint', 'integer', 'bigint')
                         then to_jsonb(floor((item->>'percent')::numeric)) else item->'percent' end,
        'message', item->'message')))))
      from jsonb_array_elements(batch) as item join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
      where g.standing = 'held' and g.attachment = a.id and (a.columns ? 'progress' or a.columns ? 'message')));
  end loop;
  return listener.answer(batch, grips);
end $$;
