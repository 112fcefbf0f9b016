-- The table of examples/thumbnails.py, and the line that makes its rows jobs.
create table public.thumbnails (
  id            uuid primary key default gen_random_uuid(),
  path          text not null,
  status        text not null default 'queued' check (status in ('queued', 'processing', 'completed', 'failed')),
  progress      int not null default 0,
  error_message text,
  thumbnail_url text,
  created_at    timestamptz not null default now()
);

-- Browsers cannot read or write the table until you add policies.
alter table public.thumbnails enable row level security;

select listener.attach('public.thumbnails', queue => 'thumbnails');
