-- Lets signed-in users hear of their own jobs' progress through Supabase Realtime, and of nobody else's: the service
-- sends it to the private channel `listener:user:<id>` when PROGRESS_BROADCAST is set. Nobody may send there but the
-- service. Running it again changes nothing.

do $$ begin
  if to_regclass('realtime.messages') is null then
    raise exception 'this database has no Supabase Realtime'
      using hint = 'Run it on a Supabase project, where Realtime has been used once.';
  end if;
end $$;

drop policy if exists "users hear of their own jobs" on realtime.messages;
create policy "users hear of their own jobs" on realtime.messages for select to authenticated
  using (extension = 'broadcast' and (select realtime.topic()) = 'listener:user:' || (select auth.uid())::text);
