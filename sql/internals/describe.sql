-- What attach finds out about a table. Each function raises an error with a hint when something is not certain.

-- describe: the attachment that the arguments of attach mean. Changes nothing.
create or replace function listener.describe(
  relation regclass, name text, key text, status text, columns jsonb, kind text, kinds text[], words jsonb,
  stages text[], wake text
) returns listener.attachment
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  a     listener.attachment;
  parts text[];
begin
  if relation is null or to_regclass(relation::text) is null then
    raise exception 'there is no such table'
      using hint = 'Name an existing table, with its schema.';
  end if;
  perform listener.check_attachable(relation);
  if name is null or name !~ '^[^/[:cntrl:]]{1,60}$' then
    raise exception '% can''t be the name of a queue', coalesce(quote_literal(name), 'null')
      using hint = 'A name has 1 to 60 characters and no slash.';
  end if;
  a.wake := coalesce(wake, case when listener.has_realtime() then 'both' else 'notify' end);
  if a.wake not in ('notify', 'realtime', 'both', 'none') then
    raise exception 'wake is %, it must be ''notify'', ''realtime'', ''both'' or ''none''', quote_literal(wake);
  end if;
  if a.wake in ('realtime', 'both') and not listener.has_realtime() then
    raise exception 'wake is %, but this database has no Supabase Realtime that it could use', quote_literal(wake)
      using hint = 'Pass wake => ''notify'', or leave it out.';
  end if;
  a.name := name;
  a.relation := relation;
  a.table_name := (select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class as c
                   join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where c.oid = relation);
  a.key_column := listener.find_key(relation, key);
  a.key_type := (select format_type(t.atttypid, null) from pg_catalog.pg_attribute as t
                 where t.attrelid = relation and t.attname = a.key_column);
  a.status_column := (
    select t.attname from pg_catalog.pg_attribute as t
    left join pg_catalog.pg_type as y on y.oid = t.atttypid
    where t.attrelid = relation and t.attnum > 0 and not t.attisdropped and (y.typcategory = 'S' or y.typtype = 'e')
      and (t.attname = status or status is null and t.attname in ('status', 'state'))
    order by t.attname = 'status' desc limit 1);
  if a.status_column is null then
    raise exception '% has no text or enum column % for the status', relation,
      coalesce(quote_ident(status), 'status or state')
      using hint = 'Pass the name of the column: status => ''…''.';
  end if;
  a.columns := listener.find_columns(relation, columns);
  words := listener.find_words(relation, a.status_column, words, coalesce(stages, '{}'));
  a.ready := words->>'ready';
  a.running := words->>'running';
  a.done := words->>'done';
  a.failed := words->>'failed';
  a.cancelled := words->>'cancelled';
  a.stages := coalesce(stages, '{}');
  -- The path that the session began with; that of this function is empty.
  a.search_path := (select s.reset_val from pg_catalog.pg_settings as s where s.name = 'search_path');
  if (kind is null) <> (coalesce(cardinality(kinds), 0) = 0) then
    raise exception 'kind and kinds go together' using hint = 'Pass kind => ''type'', kinds => ''{render,analysis}''.';
  end if;
  if (select count(distinct k) < count(*) from unnest(kinds) as k) then
    raise exception 'kinds has null, or a kind twice' using hint = 'Pass kinds => ''{render,analysis}''.';
  end if;
  if kind is not null then
    parts := regexp_match(kind, '^\s*"?(.*?)"?\s*(?:->>\s*''?([^'']+?)''?)?\s*$');
    if not exists (
      select from pg_catalog.pg_attribute as t
      where t.attrelid = relation and t.attname = parts[1] and t.attnum > 0 and not t.attisdropped
        and (parts[2] is null or format_type(t.atttypid, null) in ('json', 'jsonb')))
    then
      raise exception '% is not a column of % and not a key of one of its json columns', quote_literal(kind), relation
        using hint = 'Pass kind => ''type'', or kind => ''metadata->>type''.';
    end if;
    a.kind_column := parts[1];
    a.kind_path := parts[2];
  end if;
  return a;
end $$;

-- check_attachable: raises an error when a table can't be attached.
create or replace function listener.check_attachable(relation regclass) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  c     pg_catalog.pg_class;
  owner text := (select n.nspowner::regrole::text from pg_catalog.pg_namespace as n where n.nspname = 'listener');
begin
  select * into strict c from pg_catalog.pg_class where oid = relation;
  if c.relkind <> 'r' or c.relispartition
     or exists (select from pg_catalog.pg_inherits where relation in (inhrelid, inhparent))
  then
    raise exception '% can''t be attached: it is %', relation, case c.relkind
        when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table'
        when 'p' then 'a partitioned table' when 'r' then 'a partition, or a parent or child of other tables'
        else 'no table' end
      using hint = 'Attach an ordinary table.';
  end if;
  if not pg_catalog.pg_has_role(owner, c.relowner, 'usage') then
    raise exception '% belongs to %, and %, which owns the schema listener, may not act as it',
      relation, c.relowner::regrole, owner
      using hint = format('grant %s to %s, or install listener as a role that owns the table.',
        c.relowner::regrole, owner);
  end if;
  if c.relrowsecurity and c.relforcerowsecurity
     and not (select r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles as r where r.rolname = owner::name) then
    raise exception '% forces row-level security on its owner, so % can''t see its rows', relation, owner
      using hint = format('alter table %s no force row level security, or give %s the attribute bypassrls.',
        relation, owner);
  end if;
end $$;

-- find_key: the column that names a job: the one given, or the primary key.
create or replace function listener.find_key(relation regclass, key text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  i      record;
  chosen text;
  type   text;
begin
  for i in select x.indkey::int2[] as columns, x.indisprimary from pg_catalog.pg_index as x
           where x.indrelid = relation and x.indisunique and x.indpred is null and x.indexprs is null
           order by x.indisprimary desc
  loop
    if key is null and i.indisprimary and i.columns[1] is distinct from null and array_length(i.columns, 1) > 1 then
      raise exception '% has a composite primary key', relation
        using hint = 'Add a single unique column, such as id uuid not null default gen_random_uuid() unique,'
          ' and pass key => ''id''.';
    end if;
    select t.attname, format_type(t.atttypid, null) into chosen, type from pg_catalog.pg_attribute as t
    where t.attrelid = relation and t.attnum = i.columns[0] and array_length(i.columns, 1) = 1 and t.attnotnull
      and (t.attname = key or key is null and i.indisprimary);
    exit when chosen is not null;
  end loop;
  if chosen is null then
    raise exception '% has no %', relation,
      case when key is null then 'primary key' else format('unique, not-null column %I', key) end
      using hint = 'A job needs one column that names it: a primary key, or a unique not-null column given as'
        ' key => ''…''.';
  end if;
  if type not in ('uuid', 'text', 'character varying', 'smallint', 'integer', 'bigint') then
    raise exception 'the key % of % is of type %', quote_ident(chosen), relation, type
      using hint = 'It must be uuid, text or an integer.';
  end if;
  return chosen;
end $$;

-- find_columns: role -> {"name", "type", "required", "length"} of the optional columns. `given` holds the names that
-- the caller passed: null finds the column by its usual names, '' means none.
create or replace function listener.find_columns(relation regclass, given jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  usual constant jsonb := '{
    "progress": ["progress", "percent", "progress_percent"], "message": ["message", "status_message"],
    "error": ["error_message", "error", "error_details"], "result": ["result", "output"],
    "started_at": ["started_at", "processing_started_at"], "finished_at": ["finished_at", "completed_at"],
    "updated_at": ["updated_at"], "run_at": ["run_at", "scheduled_at", "scheduled_for"],
    "tenant": ["user_id", "tenant_id", "owner_id"], "priority": ["priority"]}';
  suited constant jsonb := '{
    "progress": ["smallint", "integer", "bigint", "numeric", "real", "double precision"],
    "message": ["text", "character varying"], "error": ["text", "character varying", "json", "jsonb"],
    "result": ["text", "character varying", "json", "jsonb"],
    "started_at": ["timestamp with time zone", "bigint"], "finished_at": ["timestamp with time zone", "bigint"],
    "updated_at": ["timestamp with time zone", "bigint"], "run_at": ["timestamp with time zone", "bigint"],
    "priority": ["smallint", "integer"]}';
  role    text;
  names   jsonb;
  wanted  text;
  columns jsonb := '{}';
  c       record;
begin
  for role, names in select * from jsonb_each(usual) loop
    wanted := given->>role;
    continue when wanted = '';
    select a.attname::text as name, format_type(a.atttypid, null) as type, a.attnotnull as required,
           case when a.atttypid = 'varchar'::regtype and a.atttypmod > 4 then a.atttypmod - 4 end as length into c
    from pg_catalog.pg_attribute as a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and (a.attname = wanted or wanted is null and names ? a.attname)
      and (wanted is not null or not suited ? role or suited->role ? format_type(a.atttypid, null))
    order by (select n from jsonb_array_elements_text(names) with ordinality as t(name, n) where t.name = a.attname)
    limit 1;
    if not found then
      continue when wanted is null;
      raise exception '% has no column % for %', relation, quote_ident(wanted), role
        using hint = format('Name a column of the table, or %s => %L for none.', role, '');
    end if;
    if suited ? role and not suited->role ? c.type then
      raise exception 'column % of % can''t be the % column: its type is %', quote_ident(c.name), relation, role, c.type
        using hint = format('It should be one of: %s.',
          (select string_agg(t, ', ') from jsonb_array_elements_text(suited->role) as t));
    end if;
    columns := columns || jsonb_build_object(role, to_jsonb(c));
  end loop;
  return columns;
end $$;
