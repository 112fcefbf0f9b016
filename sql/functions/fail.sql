-- fail: ends attempts for good. Batch: [{"delivery", "fence", "error", "columns"?, "warnings"?}].
create or replace function listener.fail(batch jsonb) returns jsonb
language sql security definer set search_path = '' set row_security = off
as $$ select listener.settle('fail', batch) $$;

create or replace function listener.apply_fail(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = ''
as $$ begin return listener.finish('failed', batch, patient); end $$;
