-- release: gives jobs back at once, as a service does when it shuts down. No attempt is counted, and the row keeps its
-- word. Batch: [{"delivery", "fence"}].
create or replace function listener.release(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$ select listener.apply_batch('release', batch) $$;

create or replace function listener.apply_release(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin return listener.give_back(batch, patient); end $$;
