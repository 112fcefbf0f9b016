-- adopt: takes over rows that are stuck in a running word and that nobody here runs, as another program's crashed
-- worker leaves them. Only rows that nobody touched for `older`, judged by the updated_at or started_at column; a
-- table without either column needs older => '0'. Returns the number of rows that it took over.
create or replace function listener.adopt(queue text, older interval default '10 minutes') returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$
declare
  a       listener.attachment;
  touched jsonb;   -- the column that shows when a row was last touched
  adopted int;
  woken   int[];
begin
  a := listener.attached(adopt.queue);
  touched := coalesce(a.columns->'updated_at', a.columns->'started_at');
  if touched is null and older > interval '0' then
    raise exception '% has no updated_at or started_at column to tell how long a row is stuck', a.table_name
      using hint = 'Stop the other worker, then adopt all of them with older => ''0'', or --older 0.';
  end if;
  execute format($sql$
    with adopted as (
      insert into listener.delivery (attachment, queue, job_key, state, priority, run_at, first_due, origin, word)
      select %1$s, c.queue, c.key, 'waiting', coalesce(c.priority, 0), clock_timestamp(), clock_timestamp(), 'adopt',
             c.word
      from %4$s as r cross join lateral (select %2$s, %3$s as touched) as c
      where r.%5$I::text = any($1) and c.queue is not null
        and (c.touched is null or c.touched <= clock_timestamp() - $2)
        and c.queue in (select q.id from listener.queue as q where q.name in ($3, %6$L) or %6$L = $3)
      -- A row that somebody is changing is not stuck.
      for no key update of r skip locked
      on conflict do nothing returning queue
    ) select array_agg(distinct queue), count(*) from adopted $sql$,
    a.id, listener.row_sql(a), listener.moment_sql(touched), a.table_name, a.status_column, a.name)
    into woken, adopted using a.stages || a.running, older, adopt.queue;
  perform listener.wake_queues(woken);
  return adopted;
end $$;
