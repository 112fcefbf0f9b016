-- each: runs one verb over a batch, so that one bad row stops nobody. The batch is tried as a whole, waiting for
-- nobody; what was locked, or everything when a row made the statement fail, is done one by one with a little patience:
-- in all less than deadlock_timeout, so that a user who waits for what is done already is never taken for a deadlock.
-- After that only a lock on a whole table is met at all: it must not hold up the rows of other tables.
-- Answers [{"delivery", "outcome", "error"?}], outcome being what the verb said (ok, lost, locked) or `refused`.
create or replace function listener.each(verb text, batch jsonb) returns jsonb
language plpgsql set search_path = '' set lock_timeout = '300ms' set jit = off
as $$
declare
  answer  jsonb := '[]';
  rest    jsonb;
  item    jsonb;
  one     jsonb;
  started timestamptz := clock_timestamp();
  patient boolean;
begin
  begin
    execute format('select listener.%I($1, false)', 'apply_' || verb) into answer using batch;
    rest := (select jsonb_agg(i) from jsonb_array_elements(batch) as i
             where i->>'delivery' in (select o->>'delivery' from jsonb_array_elements(answer) as o where o->>'outcome' = 'locked'));
    if rest is null then
      return answer;
    end if;
    answer := (select coalesce(jsonb_agg(o), '[]') from jsonb_array_elements(answer) as o where o->>'outcome' <> 'locked');
  exception when others then
    answer := '[]';
    rest := batch;
  end;

  for item in select i from jsonb_array_elements(rest) as i order by i->>'delivery' loop
    patient := clock_timestamp() < started + interval '300 milliseconds';
    if not patient then
      perform set_config('lock_timeout', '1ms', true);
    end if;
    begin
      execute format('select listener.%I($1, $2)->0', 'apply_' || verb) into one using jsonb_build_array(item), patient;
    exception
      when lock_not_available or deadlock_detected or serialization_failure then
        one := jsonb_build_object('outcome', 'locked');
      when others then
        one := jsonb_build_object('outcome', 'refused', 'error', sqlerrm);
    end;
    answer := answer || (one || jsonb_build_object('delivery', item->'delivery'));
  end loop;
  return answer;
end $$;

-- settle: `each` for the verbs that end an attempt. What the table refuses fails this job with the refusal as its
-- error; if even that is refused, the delivery is kept aside as broken, where people see it.
create or replace function listener.settle(verb text, batch jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  answer  jsonb := listener.each(verb, batch);
  item    jsonb;
  refused jsonb;
begin
  for item in select o from jsonb_array_elements(answer) as o where o->>'outcome' = 'refused' loop
    refused := (select i from jsonb_array_elements(batch) as i where i->'delivery' = item->'delivery' limit 1)
      || jsonb_build_object('error', format('the table refused the result: %s', item->>'error'), 'columns', '{}'::jsonb);
    if verb = 'fail' or listener.each('fail', jsonb_build_array(refused))->0->>'outcome' = 'refused' then
      update listener.delivery as d set state = 'broken', lease_until = null, error = item->>'error'
      where d.id = (item->>'delivery')::bigint and d.fence = (refused->>'fence')::bigint and d.state = 'running';
    end if;
  end loop;
  return answer;
end $$;

-- answer: what a verb says of each item: ok, lost (also for a delivery that is no longer there) or locked.
create or replace function listener.answer(batch jsonb, grips listener.grip[]) returns jsonb
language sql immutable set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('delivery', item->'delivery', 'outcome',
    case g.standing when 'held' then 'ok' when 'locked' then 'locked' else 'lost' end)), '[]')
  from jsonb_array_elements(batch) as item left join unnest(grips) as g on (g.delivery, g.fence) = ((item->>'delivery')::bigint, (item->>'fence')::bigint)
$$;
