-- Takes away all that the preset briefs made, with the briefs and jobs in it; everything else stays as it is.

do $$
begin
  if to_regprocedure('listener.detach(text)') is not null then
    perform listener.detach('jobs');
  end if;
  if exists (select from pg_catalog.pg_extension where extname = 'pg_cron') then
    perform cron.unschedule(jobid) from cron.job where jobname = 'trim-jobs';
  end if;
end
$$;

drop view if exists public.job_stats, public.active_jobs, public.pending_jobs_queue;
drop function if exists
  public.create_brief_with_job(uuid, text, text, text, text, boolean, jsonb, text[]), public.trim_jobs(interval, int);
do $$
begin
  if to_regclass('public.jobs') is not null then
    drop function public.claim_job(text, text[]);
    drop function public.complete_job(uuid, jsonb);
    drop function public.fail_job(uuid, text);
  end if;
end
$$;
drop table if exists public.jobs, public.briefs, public.pipelines;
drop function if exists
  public.advance_brief(), public.cancel_steps(), public.job_changes(), public.check_pipeline(),
  public.pipeline_problem(text[]);
