-- attached: the attachment of a queue, or of a name that was attached with kinds. Raises an error when there is none.
create or replace function listener.attached(queue text) returns listener.attachment
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare a listener.attachment;
begin
  select t.* into a from listener.attachment as t
  where t.name = attached.queue or t.id = (select q.attachment from listener.queue as q where q.name = attached.queue)
  order by t.name = attached.queue desc limit 1;
  if not found then
    raise exception 'there is no queue %', coalesce(quote_literal(attached.queue), 'null')
      using hint = coalesce(
        format('The queues are %s.', (select string_agg(q.name, ', ' order by q.name) from listener.queue as q)),
        'No table is attached yet.');
  end if;
  return a;
end $$;

-- keys_of_queue: those of the keys whose rows belong to the queue. When the queue stands for its whole table, these are
-- all keys.
create or replace function listener.keys_of_queue(a listener.attachment, queue text, keys text[]) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare own text[];
begin
  if keys_of_queue.queue = a.name then
    return keys;
  end if;
  execute format($sql$
    select array_agg(c.key) from (select %1$s from %2$s as r where r.%3$I = any($1::text[]::%4$s[])) as c
    join listener.queue as q on q.id = c.queue where q.name = $2 $sql$,
    listener.row_sql(a), a.table_name, a.key_column, a.key_type) into own using keys, keys_of_queue.queue;
  return coalesce(own, '{}');
end $$;

-- set_paused: the common body of pause and resume, for a queue or for all kinds of an attachment.
create or replace function listener.set_paused(queue text, paused boolean) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  a       listener.attachment;
  changed int[];
begin
  a := listener.attached(set_paused.queue);
  with switched as (
    update listener.queue as q set paused = set_paused.paused
    where q.attachment = a.id and set_paused.queue in (q.name, a.name) and q.paused <> set_paused.paused
    returning q.id
  )
  select array_agg(s.id) into changed from switched as s;
  if not paused then
    perform listener.wake_queues(changed);
  end if;
  return changed is not null;
end $$;
