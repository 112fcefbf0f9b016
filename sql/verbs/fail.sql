-- fail: ends attempts for good. Batch: [{"delivery", "fence", "error", "kind"?, "columns"?, "warnings"?}], the kind being the
-- name of the exception. An error column of jsonb gets {stage, error, message, attempt, time}: the running word that the
-- row showed, the kind, the error, which attempt it was, and when.
create or replace function listener.fail(batch jsonb) returns jsonb
language sql security definer set search_path = '' set row_security = off
as $$ select listener.settle('fail', batch) $$;

create or replace function listener.apply_fail(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = ''
as $$ begin return listener.finish('failed', batch, patient); end $$;
