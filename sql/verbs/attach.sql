-- attach: makes the ready rows of a table jobs of a queue. A column that is left out is found by its usual names; ''
-- means none. Adds four triggers and changes nothing else of the table. It may be called again to change its arguments.
-- With a kind (a column, or a JSON path such as metadata->>'type') each of `kinds` becomes a queue `name/kind`.
-- Returns what it chose and how many rows it found: waiting ones, and ones stuck in a running word that nobody runs.
create or replace function listener.attach(
  "table" regclass, queue text, key text default null, status text default null, progress text default null,
  message text default null, error text default null, result text default null, started_at text default null,
  finished_at text default null, updated_at text default null, run_at text default null, tenant text default null,
  priority text default null, kind text default null, kinds text[] default null, words jsonb default null,
  stages text[] default '{}', max_attempts int default null, backoff interval default null, wake text default null,
  dry_run boolean default false
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp set row_security = off
set lock_timeout = '2s' set jit = off
as $$
#variable_conflict use_column
declare
  a      listener.attachment;
  taken  listener.attachment;
  counts jsonb;
begin
  a := listener.describe("table", attach.queue, attach.key, attach.status, jsonb_build_object(
    'progress', attach.progress, 'message', attach.message, 'error', attach.error, 'result', attach.result,
    'started_at', attach.started_at, 'finished_at', attach.finished_at, 'updated_at', attach.updated_at,
    'run_at', attach.run_at, 'tenant', attach.tenant, 'priority', attach.priority),
    attach.kind, attach.kinds, attach.words, attach.stages, attach.wake);
  if attach.max_attempts not between 1 and 1000 then
    raise exception 'max_attempts is %, it must be from 1 to 1000', attach.max_attempts;
  end if;
  if attach.backoff <= interval '0' then
    raise exception 'backoff is %, it must be more than zero', attach.backoff;
  end if;

  select * into taken from listener.attachment as t
  where t.name = a.name and t.table_name <> a.table_name and t.relation <> a.relation
     or t.table_name = a.table_name and t.status_column = a.status_column and t.name <> a.name;
  if found then
    raise exception 'queue % is attached to % already', taken.name, taken.table_name
      using hint = format('Take another queue name, or first: select listener.detach(%L).', taken.name);
  end if;

  if not attach.dry_run then
    for try in 1 .. 3 loop
      begin
        a.id := listener.save(a, attach.kinds, attach.max_attempts, attach.backoff);
        exit;
      exception when lock_not_available then
        perform listener.retry_lock(a.table_name, try, 'attach');
      end;
    end loop;
  end if;

  execute format($sql$
    select jsonb_build_object(
      'waiting', count(*) filter (where r.%1$I = %2$L),
      'stuck', count(*) filter (where r.%1$I = any(%3$L) and not exists (
        select from listener.delivery as d where d.attachment = %4$s and d.job_key = r.%5$I::text)))
    from %6$s as r where r.%1$I = any(%7$L) $sql$,
    a.status_column, a.ready, a.stages || a.running, coalesce(a.id, 0), a.key_column, a.table_name,
    a.stages || array[a.running, a.ready]) into counts;
  if not attach.dry_run then
    perform listener.reconcile_one(a, 1000);
    -- A service that has a handler for the queue learns now that it is attached.
    perform listener.wake_queues(array(select q.id from listener.queue as q where q.attachment = a.id));
  end if;
  return jsonb_build_object(
    'queue', a.name, 'table', a.table_name, 'key', a.key_column, 'status', a.status_column,
    'columns', (
      select coalesce(jsonb_object_agg(role, value->>'name'), '{}') from jsonb_each(a.columns) as c(role, value)),
    'words', jsonb_strip_nulls(jsonb_build_object(
      'ready', a.ready, 'running', a.running, 'done', a.done, 'failed', a.failed, 'cancelled', a.cancelled)),
    'stages', a.stages,
    'queues', case when a.kind_column is null then array[a.name]
                   else array(select format('%s/%s', a.name, k) from unnest(attach.kinds) as k) end,
    'attached', not attach.dry_run) || counts;
end $$;

-- save: stores an attachment with its queues and makes its triggers. Queues of kinds that are no longer named are
-- deleted with their deliveries.
create or replace function listener.save(
  a listener.attachment, kinds text[], max_attempts int, backoff interval
) returns int
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare stale int[];
begin
  insert into listener.attachment as t (
    name, relation, table_name, key_column, key_type, status_column, columns, kind_column, kind_path,
    ready, running, done, failed, cancelled, stages, search_path, wake)
  values (
    a.name, a.relation, a.table_name, a.key_column, a.key_type, a.status_column, a.columns, a.kind_column, a.kind_path,
    a.ready, a.running, a.done, a.failed, a.cancelled, a.stages, a.search_path, a.wake)
  on conflict (name) do update set
    relation = excluded.relation, table_name = excluded.table_name, key_column = excluded.key_column,
    key_type = excluded.key_type, status_column = excluded.status_column, columns = excluded.columns,
    kind_column = excluded.kind_column, kind_path = excluded.kind_path, ready = excluded.ready,
    running = excluded.running, done = excluded.done, failed = excluded.failed, cancelled = excluded.cancelled,
    stages = excluded.stages, search_path = excluded.search_path, wake = excluded.wake
  returning t.id into a.id;

  insert into listener.queue as q (attachment, name, kind, max_attempts, backoff)
  select a.id, case when k.kind is null then a.name else format('%s/%s', a.name, k.kind) end, k.kind,
         coalesce(save.max_attempts, 3), coalesce(save.backoff, interval '2 seconds')
  from unnest(coalesce(kinds, array[null::text])) as k(kind)
  on conflict (name) do update
    set max_attempts = coalesce(save.max_attempts, q.max_attempts), backoff = coalesce(save.backoff, q.backoff);
  stale := array(select q.id from listener.queue as q where q.attachment = a.id
                 and not coalesce(q.kind = any(kinds), q.kind is null and kinds is null));
  delete from listener.delivery as d where d.attachment = a.id and d.queue = any(stale);
  delete from listener.queue as q where q.id = any(stale);
  perform listener.generate_triggers(a.id);
  perform listener.generate_take();
  -- A result that the table refused under the former description may fit now.
  update listener.delivery as d set state = 'waiting', error = null, attempt = least(d.attempt, save.max_attempts - 1)
  where d.attachment = a.id and d.state = 'broken';
  return a.id;
end $$;
