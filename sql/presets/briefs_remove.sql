-- Drops all objects of the preset briefs, with their briefs and jobs; everything else stays as it is. Running it again
-- changes nothing. With psql, pass `--single-transaction`.

do $$
begin
  if to_regclass('public.jobs') is not null and not exists (
    select from pg_catalog.pg_attribute as a where a.attrelid = to_regclass('public.jobs') and a.attname = 'step'
  ) then
    raise exception 'public.jobs was not made by the preset briefs' using hint = 'Nothing was changed.';
  end if;
  if to_regclass('listener.attachment') is not null then
    perform listener.detach(a.name) from listener.attachment as a where a.table_name = 'public.jobs';
  end if;
  if exists (select from pg_catalog.pg_extension where extname = 'pg_cron') then
    perform cron.unschedule(jobid) from cron.job where jobname = 'briefs-trim-jobs';
  end if;
  if to_regclass('public.jobs') is not null then
    drop function public.claim_job(text, text[]), public.complete_job(uuid, jsonb), public.fail_job(uuid, text);
    drop function public.create_brief_with_job(uuid, text, text, text, text, boolean, jsonb, text[]);
    drop function public.trim_jobs(interval, int);
    drop view public.job_stats, public.active_jobs, public.pending_jobs_queue;
    drop table public.jobs, public.briefs, public.pipelines;
    drop function public.advance_brief(), public.cancel_steps(), public.job_changes(), public.brief_changes(),
      public.pipeline_problem(text[]);
  end if;
end
$$;
