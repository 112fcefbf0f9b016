-- fail: ends attempts for good. Batch: [{"delivery", "fence", "error", "kind"?, "columns"?, "warnings"?}]; `kind` is
-- the name of the exception. An error column of jsonb gets {stage, error, message, attempt, time}: the running word
-- that the row showed, the kind, the error, the number of the attempt, and the time.
create or replace function listener.fail(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$ select listener.settle('fail', batch) $$;

create or replace function listener.apply_fail(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin return listener.finish('failed', batch, patient); end $$;
