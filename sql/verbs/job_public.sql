-- job_public: one job as `job` returns it, without what its user and its handler keep in it: the row and the
-- checkpoint.
create or replace function listener.job_public(queue text, key text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$
  select (j.job - 'row') #- '{delivery,checkpoint}' || jsonb_build_object('max_attempts', (
    select q.max_attempts from listener.queue as q where q.name = job_public.queue))
  from (select listener.job(job_public.queue, job_public.key)) as j(job)
$$;
