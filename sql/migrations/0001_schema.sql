-- The tables of the service. Everything that a user's table needs to know lives in `attachment` and `queue`;
-- everything that changes while jobs run lives in `delivery`; what is over lives in `attempt`.

-- One row per attached table: where its jobs are and how they are spelled.
create table listener.attachment (
  id            int generated always as identity primary key,
  name          text not null unique check (name ~ '^[^/[:cntrl:]]{1,60}$'),
  relation      regclass not null,
  table_name    text not null,          -- quoted and qualified: survives a table that is dropped and made anew
  key_column    text not null,
  key_type      text not null,
  status_column text not null,
  columns       jsonb not null,         -- role (progress, error, finished_at, …) -> its name, type, required, length
  kind_column   text,                   -- the column that tells a row's kind; null where all are one
  kind_path     text,                   -- its key, where that column is JSON
  ready         text not null,
  running       text not null,          -- the word of a claim; the first stage where there are stages
  done          text not null,
  failed        text not null,
  cancelled     text,
  stages        text[] not null default '{}',
  search_path   text not null,          -- in which the table's own triggers run, as in a session of its owner
  wake          text not null check (wake in ('notify', 'none')),
  attached_at   timestamptz not null default now(),
  unique (relation, status_column)
);

-- One row per queue: a table, or one kind of job in it.
create table listener.queue (
  id           int generated always as identity primary key,
  attachment   int not null references listener.attachment on delete cascade,
  name         text not null unique,
  kind         text,
  max_attempts int not null check (max_attempts between 1 and 1000),
  backoff      interval not null check (backoff > interval '0'),
  paused       boolean not null default false
);

create sequence listener.fence;

-- One narrow row per job that is not finished: the outbox, the lease and the retry state.
-- No foreign keys: they would lock the queue's row in every insert of a user.
create table listener.delivery (
  id          bigint generated always as identity primary key,
  attachment  int not null,
  queue       int not null,
  job_key     text not null,
  state       text not null check (state in ('waiting', 'scheduled', 'running', 'broken')),
  priority    int not null default 0,   -- higher is earlier
  run_at      timestamptz not null,     -- when it was or will be due
  attempt     int not null default 0,   -- attempts begun that count
  fence       bigint not null default 0,
  word        text,                     -- the status word that this delivery itself last wrote
  worker      text,
  claimed_at  timestamptz,
  lease_until timestamptz,
  checkpoint  jsonb,
  snoozes     int not null default 0,
  first_due   timestamptz not null,
  origin      text not null,            -- how it was found: insert, update, reconcile, adopt, requeue
  error       text,                     -- of a broken delivery
  unique (attachment, job_key)
) with (
  -- A row is updated twice and deleted: free space keeps heartbeats on their page, and a fixed threshold
  -- makes vacuum come after so many changes however large the backlog is.
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
-- A claim reads only its own queue's jobs that can start now.
create index delivery_waiting on listener.delivery (queue, priority desc, id) where state = 'waiting';
create index delivery_scheduled on listener.delivery (queue, run_at) where state = 'scheduled';
-- Without lease_until, so that a heartbeat touches no index.
create index delivery_running on listener.delivery (worker) where state = 'running';
create index delivery_broken on listener.delivery (queue) where state = 'broken';

-- History: one row per attempt that is over.
create table listener.attempt (
  id          bigint generated always as identity primary key,
  queue       int not null,
  job_key     text not null,
  attempt     int not null,
  fence       bigint not null,
  worker      text,
  outcome     text not null check (outcome in ('completed', 'failed', 'retried', 'lost', 'cancelled')),
  error       text,
  warnings    jsonb,
  started_at  timestamptz,
  finished_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000);
create index attempt_job on listener.attempt (queue, job_key);

-- One row per live process.
create table listener.worker (
  id         text primary key,
  host       text not null,
  version    text not null,
  slots      jsonb not null,            -- queue name -> slots
  started_at timestamptz not null default clock_timestamp(),
  seen_at    timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- What a verb got hold of, of one attempt that a worker names (see the function hold).
create type listener.grip as (
  delivery bigint, attachment int, queue int, job_key text, attempt int, fence bigint, worker text,
  claimed_at timestamptz, word text, standing text
);

revoke all on all tables in schema listener from public;
