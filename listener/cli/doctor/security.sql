-- Facts that `doctor --security` needs: the roles of browsers, and what they could reach.
select jsonb_build_object(
  'user', current_user,
  -- The roles of browsers, and whether this session may use them.
  'browsers', (
    select coalesce(jsonb_object_agg(r.rolname, pg_has_role(r.oid, 'member')), '{}')
    from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated')
  ),

  'attachments', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'queue', a.name, 'table', a.table_name, 'key', a.key_column, 'key_type', a.key_type, 'status', a.status_column,
      'ready', a.ready, 'done', a.done, 'tenant', a.columns->'tenant'->>'name', 'secured', c.relrowsecurity,
      -- Columns whose names suggest that they contain the result.
      'results', array(
        select t.attname from pg_catalog.pg_attribute as t
        where t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped and not t.attnotnull and t.attgenerated = ''
          and t.atttypid in ('text'::regtype, 'varchar'::regtype) and t.attname ~ '^(download|output|result|export|thumbnail).*_url$'
        order by t.attnum
      ),
      'columns', (
        select jsonb_agg(jsonb_build_object(
          'name', t.attname, 'category', y.typcategory, 'type', format_type(t.atttypid, null),
          'writable', t.attgenerated = '' and t.attidentity <> 'a', 'required', t.attnotnull and d.adbin is null and t.attidentity = '',
          'user', exists (select from pg_catalog.pg_constraint as f
                          where f.conrelid = c.oid and f.contype = 'f' and f.conkey = array[t.attnum] and f.confrelid = to_regclass('auth.users'))
        ) order by t.attnum)
        from pg_catalog.pg_attribute as t
        join pg_catalog.pg_type as y on y.oid = t.atttypid
        left join pg_catalog.pg_attrdef as d on d.adrelid = t.attrelid and d.adnum = t.attnum
        where t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped
      ),
      'policies', (
        select coalesce(jsonb_agg(jsonb_build_object('name', p.policyname, 'command', p.cmd)), '[]')
        from pg_catalog.pg_policies as p
        where format('%I.%I', p.schemaname, p.tablename) = a.table_name and p.permissive = 'PERMISSIVE'
          and p.roles && '{public, anon, authenticated}'::name[]
      )
    ) order by a.name), '[]')
    from listener.attachment as a
    join pg_catalog.pg_class as c on c.oid = to_regclass(a.table_name)
  ),

  -- Tables that no policy protects although a browser has rights on them.
  'open_tables', (
    select coalesce(jsonb_agg(distinct format('%I.%I', n.nspname, c.relname)), '[]')
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_roles as r on r.rolname in ('anon', 'authenticated')
    where c.relkind in ('r', 'p') and not c.relrowsecurity and n.nspname in ('public', 'storage')
      and has_schema_privilege(r.oid, n.oid, 'usage') and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete')
      and not exists (select from pg_catalog.pg_depend as e where e.objid = c.oid and e.deptype = 'e')
  ),

  'tables', array(
    select c.oid::regclass::text from pg_catalog.pg_class as c
    where c.relnamespace = 'listener'::regnamespace and c.relkind = 'r'
  ),

  -- Functions of this service that a browser could call.
  'open_functions', (
    select coalesce(jsonb_agg(distinct p.oid::regprocedure::text), '[]')
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    join pg_catalog.pg_roles as r on r.rolname in ('anon', 'authenticated')
    where (n.nspname = 'listener' or n.nspname = 'public' and p.proname like 'listener\_%')
      and has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute')
  ),

  -- Other functions with the rights of their owner whose search_path does not end with pg_temp: a caller could redirect
  -- them to other tables, or to types in pg_temp, where Postgres looks first.
  'loose_functions', (
    select coalesce(jsonb_agg(distinct p.oid::regprocedure::text), '[]')
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_roles as r on r.rolname in ('anon', 'authenticated')
    where p.pronamespace = 'public'::regnamespace and p.prosecdef and has_function_privilege(r.oid, p.oid, 'execute')
      and not exists (select from unnest(p.proconfig) as c where c ~ '^search_path=(.*, )?"?pg_temp"?$')
      and not exists (select from pg_catalog.pg_depend as e where e.objid = p.oid and e.deptype = 'e')
  ),

  'has_storage', to_regclass('storage.objects') is not null and to_regclass('storage.buckets') is not null
)
