-- Preset: signed-in users receive the progress of their own jobs through Supabase Realtime. The service sends it to the
-- private channel `listener:user:<id>` when PROGRESS_BROADCAST is set, and only the service may send there. Running it
-- again changes nothing.

do $$ begin
  if to_regclass('realtime.messages') is null then
    raise exception 'this database has no Supabase Realtime'
      using hint = 'Run it on a Supabase project in which Realtime has been used once.';
  end if;
end $$;

drop policy if exists "users hear of their own jobs" on realtime.messages;
create policy "users hear of their own jobs" on realtime.messages for select to authenticated
  using (extension = 'broadcast' and (select realtime.topic()) = 'listener:user:' || (select auth.uid())::text);
