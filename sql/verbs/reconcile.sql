-- reconcile: finds ready rows that have no delivery, whatever the reason (a trigger that failed or was disabled,
-- replication, a bulk load in replica mode, a table made anew), at most `most` of each attachment in one call.
-- Answers [{"attachment", "queues": {name: found}, "more", "problem"?}], with the triggers that are missing or disabled named.
create or replace function listener.reconcile(most int default 1000) returns jsonb
language plpgsql security definer set search_path = '' set row_security = off set lock_timeout = '300ms'
as $$
declare
  a      listener.attachment;
  part   jsonb;
  answer jsonb := '[]';
begin
  for a in select * from listener.attachment order by id loop
    begin
      part := listener.reconcile_one(a, most);
    exception when others then
      part := jsonb_build_object('problem', format('rows of %s can''t be read: %s', a.table_name, sqlerrm));
    end;
    answer := answer || (part || jsonb_build_object('attachment', a.name));
  end loop;
  return answer;
end $$;

create or replace function listener.reconcile_one(a listener.attachment, most int) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  found     jsonb;
  problem   text;
begin
  execute format($sql$
    with ready as (
      select c.* from %2$s as r cross join lateral (select %1$s) as c
      where r.%3$I = %4$L and c.queue is not null
        and (select d.id from listener.delivery as d where d.attachment = %5$s and d.job_key = c.key limit 1) is null
      -- A row that somebody is changing waits for the next time: their trigger would not see this delivery.
      limit $1 for no key update of r skip locked
    ), captured as (
      %6$s on conflict do nothing returning queue
    ), counted as (
      select q.name, count(*) as found from captured as c join listener.queue as q on q.id = c.queue group by q.name
    )
    select jsonb_object_agg(name, found) from counted $sql$,
    listener.row_sql(a), a.table_name, a.status_column, a.ready, a.id, listener.insert_sql(a, 'reconcile', 'ready'))
    into found using most;
  if found is not null then
    perform listener.wake(a.wake, array(select q.id from listener.queue as q where found ? q.name));
  end if;
  select format('%s of %s: its rows are heard only by reconcile; run attach again, or alter table … enable trigger',
                string_agg(format('the %s trigger is %s', op, case when t.oid is null then 'missing' else 'disabled' end), ', '), a.table_name)
    into problem
    from unnest(listener.captured()) as op
    left join pg_catalog.pg_trigger as t
      on t.tgrelid = to_regclass(a.table_name) and t.tgname = format('listener_%s_%s', op, a.id)
    where t.oid is null or t.tgenabled not in ('O', 'A') having count(*) > 0;
  return jsonb_build_object('queues', coalesce(found, '{}'), 'problem', problem,
    'more', (select coalesce(sum(value::int), 0) >= most from jsonb_each_text(found)));
end $$;
