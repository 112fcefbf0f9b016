-- snooze: gives jobs back for later. Nothing went wrong, so no attempt is counted and the row keeps its word.
-- Batch: [{"delivery", "fence", "delay"}], the delay in seconds.
create or replace function listener.snooze(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.apply_batch('snooze', batch) $$;

create or replace function listener.apply_snooze(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin return listener.give_back(batch, patient); end $$;
