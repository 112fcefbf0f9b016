-- lock_attempts: locks the attempts that a batch names by (delivery, fence): first the users' rows, then the
-- deliveries, in the order in which a user's own statement locks them. Returns how each attempt stands:
--   held    row and delivery are locked, and the attempt still counts
--   locked  another transaction has the row; nothing was changed
--   lost    the attempt is over: its lease moved on, or the row was changed, cancelled or deleted
-- When `patient` it waits for each row as long as lock_timeout allows, otherwise for none.
-- A fence comes from one sequence and so names one claim of one delivery. Therefore `fence = any(fences)` is exact,
-- although ids and fences are two lists: no other delivery of the batch can have it.
create or replace function listener.lock_attempts(batch jsonb, patient boolean) returns setof listener.locked_attempt
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  a       listener.attachment;
  ids     bigint[];
  fences  bigint[];
  named   listener.locked_attempt[];
  current listener.locked_attempt[];
  words   jsonb;    -- key -> status word of the rows that could be locked
  present text[];   -- keys of rows that exist but are locked by others
begin
  select n.ids, n.fences into ids, fences from listener.named_attempts(batch) as n;
  named := array(
    select listener.locked_attempt(d, 'locked') from listener.delivery as d
    where d.id = any(ids) and d.fence = any(fences) and d.state = 'running');

  for a in select * from listener.attachment as t
           where t.id in (select n.attachment from unnest(named) as n) order by t.id
  loop
    words := listener.lock_rows(a, array(select n.job_key from unnest(named) as n where n.attachment = a.id), patient);
    -- A delivery is locked only after its row, so the transaction that has the row has the delivery, too.
    current := array(
      select listener.locked_attempt(l.d, case when words->>(l.d).job_key = (l.d).word then 'held' else 'lost' end)
      from (select d from listener.delivery as d
            where d.id = any(ids) and d.fence = any(fences) and d.state = 'running' and d.attachment = a.id
              and words ? d.job_key
            order by d.id for update) as l
    ) || array(select n from unnest(named) as n where n.attachment = a.id and not words ? n.job_key);

    -- A row that could not be locked may be gone; a row with a foreign word was changed behind the triggers.
    present := listener.existing_rows(a, array(select c.job_key from unnest(current) as c where c.standing = 'locked'));
    delete from listener.delivery as d
    where d.fence = any(fences) and d.state = 'running' and d.id = any(array(
      select c.delivery from unnest(current) as c
      where c.standing = 'lost' or c.standing = 'locked' and not c.job_key = any(present)));
    return query
      select c.delivery, c.attachment, c.queue, c.job_key, c.attempt, c.fence, c.worker, c.claimed_at, c.word,
             case when c.standing = 'locked' and not c.job_key = any(present) then 'lost' else c.standing end
      from unnest(current) as c;
  end loop;
end $$;

-- lock_deliveries: does what `lock_attempts` does, for the verbs that leave the row alone.
create or replace function listener.lock_deliveries(batch jsonb, patient boolean) returns listener.locked_attempt[]
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
  ids    bigint[];
  fences bigint[];
  got    bigint[];
begin
  select n.ids, n.fences into ids, fences from listener.named_attempts(batch) as n;
  if patient then
    got := array(select d.id from listener.delivery as d where d.id = any(ids) order by d.id for no key update);
  else
    got := array(select d.id from listener.delivery as d where d.id = any(ids)
                 order by d.id for no key update skip locked);
  end if;
  return array(
    select listener.locked_attempt(d, case when d.id = any(got) then 'held' else 'locked' end)
    from listener.delivery as d where d.id = any(ids) and d.fence = any(fences) and d.state = 'running');
end $$;

-- named_attempts: the deliveries and the fences that a batch names.
create or replace function listener.named_attempts(batch jsonb) returns table (ids bigint[], fences bigint[])
language sql immutable
as $$
  select coalesce(array_agg((item->>'delivery')::bigint), '{}'), coalesce(array_agg((item->>'fence')::bigint), '{}')
  from jsonb_array_elements(batch) as item
$$;

-- locked_attempt: a delivery as a value of the type `locked_attempt`.
create or replace function listener.locked_attempt(d listener.delivery, standing text) returns listener.locked_attempt
language sql immutable
as $$
  select row(d.id, d.attachment, d.queue, d.job_key, d.attempt, d.fence, d.worker, d.claimed_at, d.word,
             standing)::listener.locked_attempt
$$;

-- lock_rows: locks rows of the user's table by their keys, in the order of the keys. Returns key -> status word of the
-- rows that it locked. When `patient` it waits for each as long as lock_timeout allows.
create or replace function listener.lock_rows(a listener.attachment, keys text[], patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare words jsonb;
begin
  execute format($sql$
    select jsonb_object_agg(l.key, coalesce(l.word, '')) from (
      select t.%1$I::text as key, t.%2$I::text as word from %3$s as t
      where t.%1$I = any($1::text[]::%4$s[]) order by t.%1$I for no key update %5$s) as l $sql$,
    a.key_column, a.status_column, a.table_name, a.key_type, case when patient then '' else 'skip locked' end)
    into words using keys;
  return coalesce(words, '{}');
end $$;

-- existing_rows: which of these keys have a row at all, locked or not.
create or replace function listener.existing_rows(a listener.attachment, keys text[]) returns text[]
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare present text[] := '{}';
begin
  if cardinality(keys) > 0 then
    execute format(
      'select coalesce(array_agg(t.%1$I::text), ''{}'') from %2$s as t where t.%1$I = any($1::text[]::%3$s[])',
      a.key_column, a.table_name, a.key_type) into present using keys;
  end if;
  return present;
end $$;

-- lock_rows_or_raise: `lock_rows` for the verbs of people, who name few rows and want all of them. Waits for locked
-- rows one by one, in all less than deadlock_timeout, and raises an error when that is not enough.
create or replace function listener.lock_rows_or_raise(a listener.attachment, keys text[]) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '300ms'
as $$
declare
  started timestamptz := clock_timestamp();
  words   jsonb := listener.lock_rows(a, keys, false);
  one     text;
begin
  for one in select key from unnest(listener.existing_rows(a, keys)) as key where not words ? key loop
    if clock_timestamp() > started + interval '300 milliseconds' then
      raise lock_not_available;
    end if;
    words := words || listener.lock_rows(a, array[one], true);
  end loop;
  return words;
exception when lock_not_available then
  raise exception 'another transaction has locked a row of %', a.table_name
    using hint = 'Nothing was changed; try again when that transaction is over.';
end $$;

-- retry_lock: what follows when attach or detach met a lock on the table in try number `try`: a short wait before the
-- next try, or an error after the third. Triggers need a lock that waits for writers while other writers wait behind
-- it, so each try is short (lock_timeout).
create or replace function listener.retry_lock(table_name text, try int, verb text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if try = 3 then
    raise exception '% is busy: its triggers could not be changed in % tries of two seconds', table_name, try
      using hint = format('Find the long transaction on the table in pg_stat_activity, and %s again.', verb);
  end if;
  perform pg_sleep(0.2 * try * random());
end $$;
