-- Facts about the schema `listener` and the attached tables. Reads only.
select jsonb_build_object(
  'applied', (select jsonb_object_agg(m.name, m.checksum) from listener.migration as m),

  -- Roles with which a browser could call functions of the schema.
  'exposed', (
    select coalesce(jsonb_agg(distinct r.rolname), '[]')
    from pg_catalog.pg_roles as r
    cross join pg_catalog.pg_proc as p
    where r.rolname in ('anon', 'authenticated') and p.pronamespace = 'listener'::regnamespace
      and has_schema_privilege(r.oid, 'listener', 'usage') and has_function_privilege(r.oid, p.oid, 'execute')
  ),

  'broken', (
    select coalesce(jsonb_agg(jsonb_build_object('queue', q.name, 'jobs', b.jobs, 'error', b.error) order by q.name), '[]')
    from (
      select d.queue, count(*) as jobs, min(d.error) as error
      from listener.delivery as d where d.state = 'broken' group by d.queue
    ) as b
    join listener.queue as q on q.id = b.queue
  ),

  'attachments', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'name', a.name,
      'table', a.table_name,
      'exists', c.oid is not null,
      'renamed', (
        select format('%I.%I', m.nspname, k.relname) from pg_catalog.pg_class as k
        join pg_catalog.pg_namespace as m on m.oid = k.relnamespace
        where c.oid is null and k.oid = a.relation
      ),
      'rows', greatest(c.reltuples, 0),
      'wake', a.wake,
      -- A Postgres without Supabase has no such roles and publications, and these are false.
      'exposed', not c.relrowsecurity and exists (
        select from pg_catalog.pg_roles as r
        where r.rolname in ('anon', 'authenticated') and has_schema_privilege(r.oid, c.relnamespace, 'usage')
          and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete')
      ),
      'ungranted', exists (
        select from pg_catalog.pg_roles as r where r.rolname = 'service_role' and not has_table_privilege(r.oid, c.oid, 'select')
      ),
      'unpublished', exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') and not exists (
        select from pg_catalog.pg_publication_tables as p
        where p.pubname = 'supabase_realtime' and format('%I.%I', p.schemaname, p.tablename) = a.table_name
      ),
      'status', a.status_column,
      'owned', c.oid is null or pg_has_role(n.nspowner, c.relowner, 'usage'),
      'hidden', c.relrowsecurity and c.relforcerowsecurity and not (o.rolsuper or o.rolbypassrls),
      'triggers', array(
        select format('the %s trigger is %s', op, case when t.oid is null then 'missing' else 'disabled' end)
        from unnest(listener.captured_events()) as op
        left join pg_catalog.pg_trigger as t on t.tgrelid = c.oid and t.tgname = format('listener_%s_%s', op, a.id)
        where t.oid is null or t.tgenabled not in ('O', 'A')
      ),
      'missing', array(
        select wanted
        from (
          select a.key_column union select a.status_column
          union select value->>'name' from jsonb_each(a.columns)
        ) as columns (wanted)
        where not exists (
          select from pg_catalog.pg_attribute as t
          where t.attrelid = c.oid and t.attname = wanted and not t.attisdropped
        )
      ),
      'indexed', exists (
        select from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as t on t.attrelid = i.indrelid and t.attnum = i.indkey[0]
        where i.indrelid = c.oid and i.indisvalid and (t.attname = a.status_column
          or pg_get_expr(i.indpred, i.indrelid) like '%' || quote_ident(a.status_column) || '%')
      )
    ) order by a.name), '[]')
    from listener.attachment as a
    left join pg_catalog.pg_class as c on c.oid = to_regclass(a.table_name)
    cross join pg_catalog.pg_namespace as n
    join pg_catalog.pg_roles as o on o.oid = n.nspowner
    where n.nspname = 'listener'
  )
)
