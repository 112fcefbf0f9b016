-- overview: what a dashboard shows, in one call that may be made every second. Returns what `stats` returns, and
--   now      the database's clock, which all times refer to
--   workers  [{id, host, version, slots, started_at, seen_at, running}]: the live processes
--   running  [{queue, key, attempt, max_attempts, worker, claimed_at, silent, timeout, stage, progress, message}], the
--            longest first; progress and message are those of the rows
--   pending  [{queue, key, state, attempt, max_attempts, priority, due}]: the waiting jobs in the order in which they
--            will run, then the scheduled ones
--   broken   [{queue, key, attempt, max_attempts, due, error}]
--   ended    [{queue, key, attempt, max_attempts, outcome, worker, error, started_at, finished_at}]: attempts, the last
--            first
-- At most `most` jobs of each queue are running, pending and broken, so that a full queue hides no other. `ended` has
-- the last `most` attempts that went well and the last `most` that did not, of the last thousand.
create or replace function listener.overview(most int default 20) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = off
set lock_timeout = '2s' set jit = off
as $$
  select listener.stats() || listener.foremost(overview.most)
$$;

-- foremost: the lists of an overview. It reads only their heads, however long they are.
create or replace function listener.foremost(most int) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
-- A disabled scan looks so expensive to the planner that its plan would be compiled, which takes half a second.
set jit = off
as $$
declare
  a       listener.attachment;
  taken   listener.delivery[] := array(
    select d from (select d, row_number() over (partition by d.queue order by d.claimed_at) as n
                   from listener.delivery as d where d.state = 'running') as t(d, n) where t.n <= most);
  shown   jsonb := '{}';  -- attachment -> key -> {progress, message}
begin
  for a in select * from listener.attachment as t where t.id in (select d.attachment from unnest(taken) as d) loop
    shown := shown || jsonb_build_object(a.id,
      listener.shown(a, array(select d.job_key from unnest(taken) as d where d.attachment = a.id)));
  end loop;
  return jsonb_build_object(
    'now', clock_timestamp(),
    'workers', (
      select coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'host', w.host, 'version', w.version, 'slots', w.slots,
        'started_at', w.started_at, 'seen_at', w.seen_at,
        'running', (select count(*) from listener.delivery as d where d.state = 'running' and d.worker = w.id))
        order by w.started_at, w.id), '[]')
      from listener.worker as w where w.seen_at > clock_timestamp() - interval '100 seconds'),
    'running', (
      select coalesce(jsonb_agg(jsonb_build_object('queue', q.name, 'key', d.job_key, 'attempt', d.attempt,
        'max_attempts', q.max_attempts, 'worker', d.worker, 'claimed_at', d.claimed_at,
        'silent', d.lease_until < clock_timestamp(), 'timeout', (w.timeouts->>q.name)::float8,
        'stage', case when d.word = any(t.stages) then d.word end)
        || coalesce(shown->(d.attachment::text)->d.job_key, '{}') order by d.claimed_at, d.id), '[]')
      from unnest(taken) as d
      join listener.queue as q on q.id = d.queue
      join listener.attachment as t on t.id = q.attachment
      left join listener.worker as w on w.id = d.worker),
    'pending', (
      select coalesce(jsonb_agg(to_jsonb(p) - 'id' order by p.state = 'scheduled',
        case when p.state = 'scheduled' then p.due end, p.priority desc, p.id), '[]')
      from (
        select d.id, q.name as queue, d.job_key as key, d.state, d.attempt, q.max_attempts, d.priority, d.run_at as due
        from listener.queue as q cross join lateral (
          (select * from listener.delivery as w where w.queue = q.id and w.state = 'waiting'
           order by w.priority desc, w.id limit most)
          union all
          (select * from listener.delivery as s where s.queue = q.id and s.state = 'scheduled'
           order by s.run_at limit most)
        ) as d) as p),
    'broken', (
      select coalesce(jsonb_agg(jsonb_build_object('queue', q.name, 'key', d.job_key, 'attempt', d.attempt,
        'max_attempts', q.max_attempts, 'due', d.run_at, 'error', left(d.error, 300)) order by d.run_at), '[]')
      from listener.queue as q cross join lateral (
        select * from listener.delivery as b where b.queue = q.id and b.state = 'broken' limit most) as d),
    'ended', (
      select coalesce(jsonb_agg(jsonb_build_object('queue', q.name, 'key', e.job_key, 'attempt', e.attempt,
        'max_attempts', q.max_attempts, 'outcome', e.outcome, 'worker', e.worker, 'error', left(e.error, 300),
        'started_at', e.started_at, 'finished_at', e.finished_at) order by e.id desc), '[]')
      from (
        select t.*, row_number() over (partition by t.outcome in ('failed', 'retried', 'lost') order by t.id desc) as n
        from (select * from listener.attempt as l order by l.id desc limit 1000) as t
      ) as e join listener.queue as q on q.id = e.queue where e.n <= most));
end $$;

-- shown: the progress that the rows of these jobs show: key -> {progress, message}. Empty when the table is locked,
-- or is gone or has lost a column.
create or replace function listener.shown(a listener.attachment, keys text[]) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp set lock_timeout = '100ms'
as $$
declare
  pairs text := (
    select string_agg(format('%L, %s', role,
      format(case role when 'message' then 'left(r.%I, 300)' else 'r.%I' end, a.columns->role->>'name')), ', ')
    from unnest('{progress, message}'::text[]) as role where a.columns ? role);
  rows  jsonb;
begin
  if pairs is not null then
    execute format('select jsonb_object_agg(r.%1$I::text, jsonb_build_object(%2$s)) from %3$s as r'
      ' where r.%1$I = any($1::text[]::%4$s[])', a.key_column, pairs, a.table_name, a.key_type) into rows using keys;
  end if;
  return coalesce(rows, '{}');
exception when undefined_table or undefined_column or lock_not_available then
  return '{}';
end $$;
