-- known_words: the words that a status column can hold: the labels of its enum, or the literals of its CHECK; null when
-- there is neither.
create or replace function listener.known_words(relation regclass, status_column text) returns text[]
language sql stable set search_path = pg_catalog, pg_temp
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
    -- Only a check that the value is one of these, not that it is none of these, is like this or shorter than this.
    where regexp_replace(text, '''(?:[^'']|'''')*''', '', 'g') !~ '[<>~]| AND | NOT '
  )
  select array_agg(word) from words
$$;

-- find_words: {"ready", "running", "done", "failed", "cancelled"?}, as given or, when that is certain, guessed.
create or replace function listener.find_words(
  relation regclass, status_column text, given jsonb, stages text[]
) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp
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
    raise exception 'words can''t have the entry %', quote_literal(unknown)
      using hint = 'Its entries are ready, running, done, failed and cancelled.';
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
        using hint = format('Pass words => ''{"ready": …, "running": …, "done": …, "failed": …}''; %s',
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
    select w into unknown from unnest(known) as w
    where not w = any(stages) and not w in (select value from jsonb_each_text(words));
    if unknown is not null then
      raise exception 'the meaning of the word % in %.% is not certain',
        quote_literal(unknown), relation, quote_ident(status_column)
        using hint = 'Pass words => ''{"ready": …, "running": …, "done": …, "failed": …}'', and stages => ''{…}'' for'
          ' further running words.';
    end if;
  end if;
  select w into unknown from (select value as w from jsonb_each_text(words) union all select unnest(stages[2:])) as used
    group by w having count(*) > 1;
  if found then
    raise exception 'the word % means two things', quote_literal(unknown)
      using hint = 'Each state and each stage needs a different word.';
  end if;
  return words;
end $$;
