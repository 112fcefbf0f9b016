-- hold: locks what a batch of (delivery, fence) names, rows before deliveries, as a user's own statement does,
-- and says how each stands: held; locked, when somebody else has the row and nothing was changed; or lost, when the
-- attempt is over because its lease moved on or the row was changed, cancelled or deleted.
-- Without patience it waits for nobody.
create or replace function listener.hold(batch jsonb, patient boolean) returns setof listener.grip
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  a       listener.attachment;
  ids     bigint[];
  fences  bigint[];
  grips   listener.grip[];
  current listener.grip[];
  got     jsonb;    -- key -> status word of the rows that could be locked
  present text[];   -- keys of rows that are there but locked by others
begin
  select array_agg((item->>'delivery')::bigint), array_agg((item->>'fence')::bigint)
    into ids, fences from jsonb_array_elements(batch) as item;

  select array_agg(row(d.id, d.attachment, d.queue, d.job_key, d.attempt, d.fence, d.worker, d.claimed_at, d.word, 'locked')::listener.grip)
    into grips from listener.delivery as d
    where d.id = any(ids) and d.fence = any(fences) and d.state = 'running';

  for a in select * from listener.attachment as t
           where t.id in (select g.attachment from unnest(grips) as g) order by t.id
  loop
    got := listener.lock_rows(a, array(select g.job_key from unnest(grips) as g where g.attachment = a.id), patient);
    -- A delivery is locked only under its row: with a row of somebody else's its delivery is theirs too.
    current := array(
      select row(d.id, d.attachment, d.queue, d.job_key, d.attempt, d.fence, d.worker, d.claimed_at, d.word,
                 case when got->>d.job_key = d.word then 'held' else 'lost' end)::listener.grip
      from (select * from listener.delivery as t
            where t.id = any(ids) and t.fence = any(fences) and t.state = 'running' and t.attachment = a.id and got ? t.job_key
            order by t.id for update) as d
    ) || array(select g from unnest(grips) as g where g.attachment = a.id and not got ? g.job_key);

    -- A row that could not be locked may be gone; a row with a foreign word was changed behind the triggers.
    present := listener.existing_rows(a, array(select g.job_key from unnest(current) as g where g.standing = 'locked'));
    delete from listener.delivery as d
    where d.fence = any(fences) and d.state = 'running' and d.id = any(array(
      select g.delivery from unnest(current) as g
      where g.standing = 'lost' or g.standing = 'locked' and not g.job_key = any(present)));
    return query
      select g.delivery, g.attachment, g.queue, g.job_key, g.attempt, g.fence, g.worker, g.claimed_at, g.word,
             case when g.standing = 'locked' and not g.job_key = any(present) then 'lost' else g.standing end
      from unnest(current) as g;
  end loop;
end $$;

-- hold_deliveries: as `hold`, for the verbs that leave the row alone.
create or replace function listener.hold_deliveries(batch jsonb, patient boolean) returns listener.grip[]
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare
  ids    bigint[];
  fences bigint[];
  held   bigint[];
begin
  select array_agg((item->>'delivery')::bigint), array_agg((item->>'fence')::bigint)
    into ids, fences from jsonb_array_elements(batch) as item;
  if patient then
    held := array(select d.id from listener.delivery as d where d.id = any(ids) order by d.id for no key update);
  else
    held := array(select d.id from listener.delivery as d where d.id = any(ids) order by d.id for no key update skip locked);
  end if;
  return array(
    select row(d.id, d.attachment, d.queue, d.job_key, d.attempt, d.fence, d.worker, d.claimed_at, d.word,
               case when d.id = any(held) then 'held' else 'locked' end)::listener.grip
    from listener.delivery as d where d.id = any(ids) and d.fence = any(fences) and d.state = 'running');
end $$;

-- lock_rows: locks rows of the user's table by their keys, in the order of the keys; returns key -> status word
-- of those it got. With patience it waits for each as long as lock_timeout allows.
create or replace function listener.lock_rows(a listener.attachment, keys text[], patient boolean) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare got jsonb;
begin
  execute format(
    'select jsonb_object_agg(l.key, coalesce(l.word, %L)) from (select t.%2$I::text as key, t.%3$I::text as word from %4$s as t'
    ' where t.%2$I = any($1::text[]::%5$s[]) order by t.%2$I for no key update %6$s) as l',
    '', a.key_column, a.status_column, a.table_name, a.key_type, case when patient then '' else 'skip locked' end)
    into got using keys;
  return coalesce(got, '{}');
end $$;

-- existing_rows: which of these keys have a row at all, locked or not.
create or replace function listener.existing_rows(a listener.attachment, keys text[]) returns text[]
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare present text[] := '{}';
begin
  if cardinality(keys) > 0 then
    execute format('select coalesce(array_agg(t.%1$I::text), %4$L) from %2$s as t where t.%1$I = any($1::text[]::%3$s[])',
      a.key_column, a.table_name, a.key_type, '{}') into present using keys;
  end if;
  return present;
end $$;

-- insist: `lock_rows` for the verbs of people, who name few rows and want all: waits for locked ones one by one, in all
-- less than deadlock_timeout, and raises a sentence when that is not enough.
create or replace function listener.insist(a listener.attachment, keys text[]) returns jsonb
language plpgsql set search_path = '' set lock_timeout = '300ms'
as $$
declare
  started timestamptz := clock_timestamp();
  got     jsonb := listener.lock_rows(a, keys, false);
  one     text;
begin
  for one in select key from unnest(listener.existing_rows(a, keys)) as key where not got ? key loop
    if clock_timestamp() > started + interval '300 milliseconds' then
      raise lock_not_available;
    end if;
    got := got || listener.lock_rows(a, array[one], true);
  end loop;
  return got;
exception when lock_not_available then
  raise exception 'another transaction has locked a row of %', a.table_name
    using hint = 'Nothing was changed; try again when that transaction is over.';
end $$;
