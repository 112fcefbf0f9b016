-- The functions have moved to verbs/ and internals/, and some have other names. Those that exist no longer go here; the
-- current ones are applied after the migrations. Attached tables and running attempts stay as they are.
-- squawk-ignore renaming-object
alter type listener.grip rename to locked_attempt;

select listener.drop_functions('{answer, captured, each, forget, generate, glance, hold, hold_deliveries, insist, look,
  missed, of_queue, overruled, paint, refuse}');
-- Earlier versions generated one function for each attached table.
select listener.drop_functions(array(
  select p.proname::text from pg_catalog.pg_proc as p
  where p.pronamespace = 'listener'::regnamespace and p.proname ~ '^take_\d+$'));

delete from listener.migration where name like 'functions/%';
