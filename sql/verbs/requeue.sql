-- requeue: lets jobs run again from the start, whatever word their rows show: attempts 0, no checkpoint. A job that
-- runs now is restarted. Answers the number of rows that were found in that queue.
create or replace function listener.requeue(queue text, keys text[]) returns int
language plpgsql security definer set search_path = '' set row_security = off set lock_timeout = '300ms' set enable_seqscan = off set jit = off
as $$
declare
  a   listener.attachment;
  got jsonb;
begin
  a := listener.attached(requeue.queue);
  got := listener.insist(a, listener.of_queue(a, requeue.queue, keys));
  perform listener.forget(a, array(select jsonb_object_keys(got)), 'requeued', '{running}');
  perform listener.write_rows(a, (select jsonb_agg(jsonb_build_object('key', key, 'columns', listener.paint(a, jsonb_build_object(
    'status', a.ready, 'progress', 0, 'error', null, 'finished_at', null)))) from jsonb_object_keys(got) as key));
  -- The trigger has captured rows whose word changed; ready rows that stayed ready are captured here.
  perform listener.capture_again(a, array(select jsonb_object_keys(got)));
  return (select count(*) from jsonb_object_keys(got));
end $$;

-- forget: ends the deliveries of these rows, whose locks the caller holds, and tells their workers to stop.
-- Those in a state of `noted` get a line of history.
create or replace function listener.forget(a listener.attachment, keys text[], why text, noted text[]) returns void
language plpgsql set search_path = '' set enable_seqscan = off
as $$
declare stopped int[];
begin
  with ended as (
    delete from listener.delivery as d where d.attachment = a.id and d.job_key = any(keys) returning d.*
  ), history as (
    insert into listener.attempt (queue, job_key, attempt, fence, worker, outcome, error, started_at)
    select e.queue, e.job_key, e.attempt, e.fence, e.worker, 'cancelled', why,
           case when e.state = 'running' then e.claimed_at end
    from ended as e where e.state = any(forget.noted)
  )
  select array_agg(distinct e.queue) filter (where e.state = 'running') into stopped from ended as e;
  perform listener.stop(stopped);
end $$;

-- capture_again: captures rows by their keys as an UPDATE to the ready word would.
create or replace function listener.capture_again(a listener.attachment, keys text[]) returns void
language plpgsql set search_path = '' set enable_seqscan = off
as $$
begin
  execute format('select listener.capture(%s, array_agg(c.key), array_agg(c.word), array_agg(c.queue), array_agg(c.priority),'
    ' array_agg(c.run_at), %L) from (select %s from %s as r where r.%I = any($1::text[]::%s[])) as c having count(*) > 0',
    a.id, 'requeue', listener.row_sql(a), a.table_name, a.key_column, a.key_type) using keys;
end $$;

-- of_queue: which of these keys are rows of a queue, where it is one of several of its table; else all of them.
create or replace function listener.of_queue(a listener.attachment, queue text, keys text[]) returns text[]
language plpgsql stable set search_path = '' set enable_seqscan = off
as $$
declare own text[];
begin
  if of_queue.queue = a.name then
    return keys;
  end if;
  execute format('select array_agg(c.key) from (select %s from %s as r where r.%I = any($1::text[]::%s[])) as c'
    ' join listener.queue as q on q.id = c.queue where q.name = $2',
    listener.row_sql(a), a.table_name, a.key_column, a.key_type) into own using keys, of_queue.queue;
  return coalesce(own, '{}');
end $$;
