-- complete: ends attempts well. Batch: [{"delivery", "fence", "columns": {name: value}, "message"?, "warnings"?}]; the
-- message is the last one of the attempt's progress.
-- The done word, the finish time and the handler's columns are written in one transaction with the delivery's end.
create or replace function listener.complete(batch jsonb) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp set row_security = off set jit = off
as $$ select listener.settle('complete', batch) $$;

create or replace function listener.apply_complete(batch jsonb, patient boolean) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin return listener.finish('completed', batch, patient); end $$;
