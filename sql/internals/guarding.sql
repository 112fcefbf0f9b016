-- generate_guard: writes the trigger of a guarded table and restricts its grants; does nothing without a guard.
-- The grants alone would let a browser write any word; the trigger alone would not show in the table's privileges.
create or replace function listener.generate_guard(a listener.attachment) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  guarded    text[] := listener.guarded_columns(a);
  unfinished text[] := a.stages || array[a.ready, a.running];
  ends       text[] := array_remove(array[a.failed, a.cancelled], null);
  written    text;
  changed    text;
begin
  if guarded is null then
    return;
  end if;
  -- Values are compared as text, because json has no equality.
  select string_agg(format('when new.%1$I::text is distinct from (%2$s)::%3$s::text then %1$L', c.attname,
           coalesce(pg_get_expr(d.adbin, d.adrelid), 'null'), format_type(c.atttypid, c.atttypmod)),
           ' ' order by c.attnum),
         string_agg(format('when new.%1$I::text is distinct from old.%1$I::text then %1$L', c.attname),
           ' ' order by c.attnum)
    into written, changed
  from pg_catalog.pg_attribute as c
  left join pg_catalog.pg_attrdef as d on d.adrelid = c.attrelid and d.adnum = c.attnum
  where c.attrelid = to_regclass(a.table_name) and c.attname = any(guarded) and not c.attisdropped;

  -- It runs with the caller's rights, so that it stops a browser, but not the owner's function that a browser calls.
  execute format('create or replace function listener.guard_%s() returns trigger language plpgsql'
    ' set search_path = pg_catalog, pg_temp as %L', a.id, format($body$
declare wrong text;
begin
  if current_user not in ('anon', 'authenticated') then
    return new;
  end if;
  if tg_op = 'INSERT' then
    if new.%1$I::text is distinct from %2$L then
      raise insufficient_privilege using message = %3$L;
    end if;
    wrong := case %4$s end;
  else
    if new.%1$I::text is distinct from old.%1$I::text
       and not coalesce(old.%1$I::text = any(%5$L) and new.%1$I::text = any(%6$L)
                        or old.%1$I::text = %7$L and new.%1$I::text = %2$L, false) then
      raise insufficient_privilege using message = format(%8$L, old.%1$I, new.%1$I), hint = %9$L;
    end if;
    wrong := case %10$s end;
  end if;
  if wrong is not null then
    raise insufficient_privilege using message = format(%11$L, wrong);
  end if;
  return new;
end $body$, a.status_column, a.ready, format('a new job of %s has to be %L', a.table_name, a.ready),
      coalesce(written, 'when true then null'), unfinished, ends, a.failed,
      replace(a.table_name, '%', '%%') || ': only the service turns %L into %L',
      format('A browser may turn what is not finished into %s, and %L into %L.', (
        select string_agg(quote_literal(e), ' or ') from unnest(ends) as e), a.failed, a.ready),
      coalesce(changed, 'when true then null'), replace(a.table_name, '%', '%%') || ': only the service writes %I'));
  execute format('revoke all on function listener.guard_%s() from public', a.id);

  -- Triggers fire in the order of their names: this one sees the browser's values before other triggers change them.
  if not exists (select from pg_catalog.pg_trigger as t
                 where t.tgrelid = to_regclass(a.table_name) and t.tgname = format('0_listener_guard_%s', a.id)) then
    execute format('create trigger %I before insert or update on %s for each row execute function listener.guard_%s()',
      format('0_listener_guard_%s', a.id), a.table_name, a.id);
  end if;
  perform listener.grant_updates(to_regclass(a.table_name), g.granted, guarded)
  from listener.guarded as g where g.attachment = a.id;
end $$;

-- guarded_columns: the columns that only the service writes; null when the table is not guarded.
create or replace function listener.guarded_columns(a listener.attachment) returns text[]
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select array(
    select value->>'name' from jsonb_each(a.columns) as c(role, value)
    where role in ('progress', 'message', 'error', 'result', 'started_at', 'finished_at')
    union select unnest(g.columns) order by 1
  ) from listener.guarded as g where g.attachment = a.id
$$;

-- update_grants: what is granted for update to the browsers' roles themselves: role -> {"table": true when every
-- column, "columns": [name]}.
create or replace function listener.update_grants(a listener.attachment) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(r.rolname, jsonb_build_object(
    'table', exists (select from aclexplode(c.relacl) as x where x.grantee = r.oid and x.privilege_type = 'UPDATE'),
    'columns', array(select t.attname from pg_catalog.pg_attribute as t cross join lateral aclexplode(t.attacl) as x
                     where t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped
                       and x.grantee = r.oid and x.privilege_type = 'UPDATE'))), '{}')
  from pg_catalog.pg_class as c join pg_catalog.pg_roles as r on r.rolname in ('anon', 'authenticated')
  where c.oid = to_regclass(a.table_name)
$$;

-- grant_updates: grants to roles what update_grants returned, except for the columns `but`. Revoking a column from a
-- grant of the table has no effect, so the table's grant is revoked, and each other column gets its own grant.
create or replace function listener.grant_updates(t regclass, granted jsonb, but text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  role  text;
  was   jsonb;
  names text;
begin
  for role, was in select * from jsonb_each(granted) loop
    continue when to_regrole(quote_ident(role)) is null;
    execute format('revoke update on %s from %I', t, role);
    if (was->>'table')::boolean and cardinality(but) = 0 then
      execute format('grant update on %s to %I', t, role);
    end if;
    select string_agg(quote_ident(c.attname), ', ' order by c.attnum) into names from pg_catalog.pg_attribute as c
    where c.attrelid = t and c.attnum > 0 and not c.attisdropped and c.attname <> all(but)
      and (was->'columns' ? c.attname or cardinality(but) > 0 and (was->>'table')::boolean);
    if names is not null then
      execute format('grant update (%s) on %s to %I', names, t, role);
    end if;
  end loop;
end $$;
