-- What a process gives each of its handlers, so that people can be told of jobs that take longer.

alter table listener.worker add column timeouts jsonb not null default '{}';  -- queue name -> seconds
