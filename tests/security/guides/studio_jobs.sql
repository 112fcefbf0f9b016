-- The table and the policies that the studio's guide lists.
create table studio_jobs (
  job_id uuid primary key default gen_random_uuid(),
  created_at timestamp with time zone default now(),
  status text not null default 'NEW'
    check (status in ('NEW', 'TRANSCRIBING', 'ENRICHING', 'REFINING', 'COMPLETE', 'FAILED')),
  user_id uuid references auth.users (id) on delete cascade,
  raw_audio_url text,
  raw_transcript text,
  refined_text text,
  system_prompt_used text,
  processing_time_ms integer,
  error_details jsonb
);
alter table studio_jobs enable row level security;
create policy "Users can view own jobs" on studio_jobs for select using (auth.uid() = user_id);
create policy "Users can create own jobs" on studio_jobs for insert with check (auth.uid() = user_id);
create policy "Users can update own jobs" on studio_jobs for update
  using (auth.uid() = user_id)
  with check (auth.uid() = user_id);
