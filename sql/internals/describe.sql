-- What attach finds out about a table. Each function raises one sentence with a hint when it can't be certain.

-- find_columns: role -> {"name", "type", "required", "length"} for the optional columns. `given` holds the names that the
-- caller passed: null finds the column by its usual names, '' is none.
create or replace function listener.find_columns(relation regclass, given jsonb) returns jsonb
language plpgsql stable set search_path = ''
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
    order by (select n from jsonb_array_elements_text(names) with ordinality as t(name, n) where t.name = a.attname) limit 1;
    if not found then
      continue when wanted is null;
      raise exception '% has no column % for %', relation, quote_ident(wanted), role
        using hint = format('Name a column of the table, or %s => %L for none.', role, '');
    end if;
    if suited ? role and not suited->role ? c.type then
      raise exception 'column % of % can''t be the % column: its type is %', quote_ident(c.name), relation, role, c.type
        using hint = format('It should be one of: %s.', (select string_agg(t, ', ') from jsonb_array_elements_text(suited->role) as t));
    end if;
    columns := columns || jsonb_build_object(role, to_jsonb(c));
  end loop;
  return columns;
end $$;

-- known_words: the words that a status column can hold: the labels of its enum, or the literals of its CHECK;
-- null when neither says.
create or replace function listener.known_words(relation regclass, status_column text) returns text[]
language sql stable set search_path = ''
as $$
  with status as (
    select a.attnum, a.atttypid from pg_catalog.pg_attribute as a
    where a.attrelid = relation and a.attname = status_column and not a.attisdropped
  ), words as (
    select e.enumlabel::text as word from status as s join pg_catalog.pg_enum as e on e.enumtypid = s.atttypid
    union
    select replace(literal[1], '''''', '''') from status as s
    join pg_catalog.pg_constraint as c on c.conrelid = relation and c.contype = 'c' and c.conkey = array[s.attnum]
    cross join lateral (select pg_get_constraintdef(c.oid) as text) as definition
    cross join lateral regexp_matches(text, '''((?:[^'']|'''')*)''', 'g') as literal
    -- Only what says "is one of these", not "is none of these", "is like this" or "is shorter than this".
    where regexp_replace(text, '''(?:[^'']|'''')*''', '', 'g') !~ '[<>~]| AND | NOT '
  )
  select array_agg(word) from words
$$;

-- find_words: {"ready", "running", "done", "failed", "cancelled"?}, as given or, when that is certain, guessed.
create or replace function listener.find_words(relation regclass, status_column text, given jsonb, stages text[]) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  usual constant jsonb := '{
    "ready": ["queued", "pending", "new", "waiting", "ready", "todo", "requested"],
    "running": ["processing", "running", "in_progress", "in-progress", "started", "working", "active"],
    "done": ["completed", "complete", "done", "succeeded", "success", "finished"],
    "failed": ["failed", "error", "errored", "failure"],
    "cancelled": ["cancelled", "canceled", "aborted"]}';
  known   text[] := listener.known_words(relation, status_column);
  words   jsonb := jsonb_strip_nulls(coalesce(given, '{}'));
  role    text;
  names   jsonb;
  fitting text[];
  unknown text;
begin
  select key into unknown from jsonb_object_keys(words) as key where not usual ? key;
  if unknown is not null then
    raise exception 'words has no entry %', quote_literal(unknown) using hint = 'Its entries are ready, running, done, failed and cancelled.';
  end if;
  if cardinality(stages) > 0 then
    words := words || jsonb_build_object('running', stages[1]);
  end if;
  for role, names in select * from jsonb_each(usual) loop
    if given is null and not words ? role then
      fitting := array(select w from unnest(known) as w where names ? lower(w));
      if cardinality(fitting) = 1 then
        words := words || jsonb_build_object(role, fitting[1]);
      end if;
    end if;
    if not words ? role and role <> 'cancelled' then
      raise exception 'the word for % in %.% is not certain', role, relation, quote_ident(status_column)
        using hint = format('Say words => ''{"ready": …, "running": …, "done": …, "failed": …}''; %s',
          case when known is null then 'the column has no CHECK and no enum to read them from.'
               else format('the column''s words are %s.', array_to_string(known, ', ')) end);
    end if;
  end loop;
  select w into unknown from (select value as w from jsonb_each_text(words) union select unnest(stages)) as used
    where known is not null and not w = any(known);
  if unknown is not null then
    raise exception '%.% can''t hold the word %', relation, quote_ident(status_column), quote_literal(unknown)
      using hint = format('Its words are %s.', array_to_string(known, ', '));
  end if;
  if given is null then
    select w into unknown from unnest(known) as w where not w = any(stages) and not w in (select value from jsonb_each_text(words));
    if unknown is not null then
      raise exception 'the meaning of the word % in %.% is not certain', quote_literal(unknown), relation, quote_ident(status_column)
        using hint = 'Say words => ''{"ready": …, "running": …, "done": …, "failed": …}'', and stages => ''{…}'' for further running words.';
    end if;
  end if;
  select w into unknown from (select value as w from jsonb_each_text(words) union all select unnest(stages[2:])) as used
    group by w having count(*) > 1;
  if found then
    raise exception 'the word % means two things', quote_literal(unknown) using hint = 'Each state and each stage needs a word of its own.';
  end if;
  return words;
end $$;

-- refuse: raises a sentence when a table can't be attached.
create or replace function listener.refuse(relation regclass) returns void
language plpgsql stable set search_path = ''
as $$
declare
  c     pg_catalog.pg_class;
  owner text := (select n.nspowner::regrole::text from pg_catalog.pg_namespace as n where n.nspname = 'listener');
begin
  select * into strict c from pg_catalog.pg_class where oid = relation;
  if c.relkind <> 'r' or c.relispartition or exists (select from pg_catalog.pg_inherits where relation in (inhrelid, inhparent)) then
    raise exception '% can''t be attached: it is %', relation, case c.relkind when 'v' then 'a view' when 'm' then 'a materialized view'
      when 'f' then 'a foreign table' when 'p' then 'a partitioned table' when 'r' then 'a partition, or a parent or child of other tables'
      else 'no table' end using hint = 'Attach an ordinary table.';
  end if;
  if not pg_catalog.pg_has_role(owner, c.relowner, 'usage') then
    raise exception '% belongs to %, and %, which owns the schema listener, may not act as it', relation, c.relowner::regrole, owner
      using hint = format('grant %s to %s, or install listener as a role that owns the table.', c.relowner::regrole, owner);
  end if;
  if c.relrowsecurity and c.relforcerowsecurity
     and not (select r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles as r where r.rolname = owner::name) then
    raise exception '% forces row-level security on its owner, so % can''t see its rows', relation, owner
      using hint = format('alter table %s no force row level security, or give %s the attribute bypassrls.', relation, owner);
  end if;
end $$;
