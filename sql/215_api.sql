-- What a schema has: columns, foreign keys and functions, once for all who
-- describe the API.  Everything is read from the catalog at the moment somebody
-- asks: there is no second place where a column has to be written down.
--
-- These functions run as the login of the API: reading the catalog is no secret
-- of a user's.

set local role kith_owner;

-- What a domain is in the end.
create function kith.base_type(type oid) returns oid
language sql stable set search_path = ''
as $$
    with recursive chain (oid, base) as (
        select t.oid, nullif(t.typbasetype, 0) from pg_catalog.pg_type t where t.oid = type
        union all
        select t.oid, nullif(t.typbasetype, 0) from chain c join pg_catalog.pg_type t on t.oid = c.base
    )
    select c.oid from chain c where c.base is null
$$;
comment on function kith.base_type(oid) is 'The type below a domain; any other type is itself.';

-- Columns of the tables and views of a schema.
--
-- A view's column knows nothing of itself: PostgreSQL calls it nullable, without
-- a default and without a key.  Where it shows a table's column unchanged it has
-- that column's comment, default, words and keys; and it is not null when the
-- table's is and no outer join, grouping set or set operation can make it so.
-- Which column it shows is told by the view's parse tree only: by its nodes
-- {QUERY ... {TARGETENTRY ... :resno 1 ... :resorigtbl 16400 :resorigcol 2 ...}}
-- two braces deep; deeper ones belong to subqueries.
create function kith.api_columns(schema name)
returns table (
    relation oid, place smallint, name name, type oid, modifier integer, not_null boolean, generated boolean,
    default_sql text, description text, words text[], origin oid, origin_place smallint, is_key boolean
)
language sql stable set search_path = ''
as $$
    with recursive relations (oid) as materialized (
        select c.oid
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = api_columns.schema
            and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and not c.relispartition
            and not exists (
                select from pg_catalog.pg_depend d
                where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
            )
    ),
    -- Those of the schema and those that they look at.
    views (oid) as (
        select c.oid
        from relations r
        join pg_catalog.pg_class c on c.oid = r.oid
        where c.relkind in ('v', 'm')
        union
        select c.oid
        from views v
        join pg_catalog.pg_rewrite w on w.ev_class = v.oid and w.rulename = '_RETURN'
        join pg_catalog.pg_depend d
            on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = w.oid
            and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        join pg_catalog.pg_class c on c.oid = d.refobjid
        where c.relkind in ('v', 'm')
    ),
    trees (view, tree, plain) as materialized (
        select v.oid, replace(replace(w.ev_action::text, '\{', ''), '\}', ''),
            w.ev_action::text !~ ':jointype [1-9]|:setOperations \{|:groupingSets \('
        from views v
        join pg_catalog.pg_rewrite w on w.ev_class = v.oid and w.rulename = '_RETURN'
    ),
    nodes (view, plain, node, depth) as (
        -- Cut at every closing brace, the opening ones so far tell the depth.
        select t.view, t.plain, n.node,
            sum(length(n.node) - length(replace(n.node, '{', ''))) over (partition by t.view order by n.place)
                - n.place + 1
        from trees t, string_to_table(t.tree, '}') with ordinality as n (node, place)
    ),
    entries (view, place, source, source_place, plain) as materialized (
        select n.view,
            split_part(split_part(n.node, ':resno ', 2), ' ', 1)::smallint,
            split_part(split_part(n.node, ':resorigtbl ', 2), ' ', 1)::oid,
            split_part(split_part(n.node, ':resorigcol ', 2), ' ', 1)::smallint,
            n.plain
        from nodes n
        where n.depth = 2 and n.node like '%:resorigtbl %'
    ),
    followed (relation, place, source, source_place, plain) as (
        select e.view, e.place, e.source, e.source_place, e.plain
        from entries e
        where e.source <> 0
        union all
        select f.relation, f.place, e.source, e.source_place, f.plain and e.plain
        from followed f
        join entries e on e.view = f.source and e.place = f.source_place
        where e.source <> 0
    ),
    origins (relation, place, origin, origin_place, plain) as (
        select f.relation, f.place, f.source, f.source_place, f.plain
        from followed f
        where f.source not in (select v.oid from views v)
    ),
    columns as materialized (
        select r.oid as relation, a.attnum as place, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
            a.attgenerated <> '' or a.attidentity = 'a' as generated,
            case
                when a.attgenerated <> '' then null
                when a.attidentity <> '' then 'generated by default as identity'
                else coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault)
            end as default_sql,
            coalesce(o.origin, case when c.relkind in ('v', 'm') then null else r.oid end) as origin,
            coalesce(o.origin_place, case when c.relkind in ('v', 'm') then null else a.attnum end) as origin_place,
            o.plain
        from relations r
        join pg_catalog.pg_class c on c.oid = r.oid
        join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
        join pg_catalog.pg_type t on t.oid = a.atttypid
        left join pg_catalog.pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
        left join origins o on o.relation = r.oid and o.place = a.attnum
    ),
    -- check (status in ('open', 'closed')), as PostgreSQL prints it.
    listed (origin, origin_place, words) as materialized (
        select distinct on (k.conrelid, k.conkey[1]) k.conrelid, k.conkey[1],
            array(
                select replace(m.match[1], '''''', '''')
                from regexp_matches(k.definition, '''((?:[^'']|'''')*)''::', 'g') with ordinality as m (match, place)
                order by m.place
            )
        from (
            select c.conrelid, c.conkey, c.conname, pg_get_constraintdef(c.oid) as definition
            from pg_catalog.pg_constraint c
            where c.contype = 'c'
                and cardinality(c.conkey) = 1
                and c.conrelid in (select o.origin from columns o)
        ) as k
        where k.definition ~ concat(
            '^CHECK \(+[^()'']+\)*(::text)? = ANY \(+',
            'ARRAY\[(''([^'']|'''')*''::[a-z ]+(, )?)+\][^'']*\)$')
        order by k.conrelid, k.conkey[1], k.conname
    ),
    -- A view has a table's key when it shows all of it.
    keyed (relation, origin, key) as materialized (
        select c.relation, c.origin, p.conkey
        from columns c
        join pg_catalog.pg_constraint p on p.contype = 'p' and p.conrelid = c.origin
        group by c.relation, c.origin, p.conkey
        having array_agg(c.origin_place) @> p.conkey
    )
    select c.relation, c.place, c.attname, c.atttypid, c.atttypmod,
        c.attnotnull or (coalesce(c.plain, false) and coalesce(b.attnotnull, false)) or t.typnotnull,
        c.generated or coalesce(b.attgenerated <> '' or b.attidentity = 'a', false),
        case
            when c.default_sql is not null or c.origin is null or c.origin = c.relation then c.default_sql
            when b.attgenerated <> '' then null
            when b.attidentity <> '' then 'generated by default as identity'
            else pg_get_expr(bd.adbin, bd.adrelid)
        end,
        coalesce(col_description(c.relation, c.place), col_description(c.origin, c.origin_place)),
        case t.typtype
            when 'e' then (
                select array_agg(e.enumlabel::text order by e.enumsortorder)
                from pg_catalog.pg_enum e
                where e.enumtypid = t.oid
            )
            else l.words
        end,
        c.origin, c.origin_place, coalesce(c.origin_place = any (k.key), false)
    from columns c
    join pg_catalog.pg_type t on t.oid = c.atttypid
    left join pg_catalog.pg_attribute b on b.attrelid = c.origin and b.attnum = c.origin_place
    left join pg_catalog.pg_attrdef bd on bd.adrelid = c.origin and bd.adnum = c.origin_place
    left join listed l on l.origin = c.origin and l.origin_place = c.origin_place
    left join keyed k on k.relation = c.relation and k.origin = c.origin
$$;
comment on function kith.api_columns(name) is
    'Columns of a schema''s tables and views, with what a view''s column has from the table''s.';

create function kith.api_references(schema name)
returns table (relation oid, name name, columns name[], target oid, target_columns name[], one_to_one boolean)
language sql stable set search_path = ''
as $$
    with shown as materialized (
        select distinct on (c.relation, c.origin, c.origin_place) c.relation, c.origin, c.origin_place, c.name
        from kith.api_columns(api_references.schema) c
        where c.origin is not null
        order by c.relation, c.origin, c.origin_place, c.place
    ),
    keys as materialized (
        select k.*,
            exists (
                select from pg_catalog.pg_constraint u
                where u.conrelid = k.conrelid
                    and u.contype in ('p', 'u')
                    and u.conkey <@ k.conkey
                    and u.conkey @> k.conkey
            ) as one_to_one
        from pg_catalog.pg_constraint k
        where k.contype = 'f' and k.conparentid = 0
    ),
    sources (key, relation, columns) as materialized (
        select k.oid, s.relation, array_agg(s.name order by c.number)
        from keys k
        cross join unnest(k.conkey) with ordinality as c (place, number)
        join shown s on s.origin = k.conrelid and s.origin_place = c.place
        group by k.oid, s.relation, k.conkey
        having count(*) = cardinality(k.conkey)
    ),
    targets (key, relation, columns) as materialized (
        select k.oid, s.relation, array_agg(s.name order by c.number)
        from keys k
        cross join unnest(k.confkey) with ordinality as c (place, number)
        join shown s on s.origin = k.confrelid and s.origin_place = c.place
        group by k.oid, s.relation, k.confkey
        having count(*) = cardinality(k.confkey)
    )
    select s.relation, k.conname, s.columns, t.relation, t.columns, k.one_to_one
    from keys k
    join sources s on s.key = k.oid
    join targets t on t.key = k.oid
$$;
comment on function kith.api_references(name) is
    'Foreign keys among the tables and views of a schema, under the names these show.';

create function kith.api_functions(schema name)
returns table (function oid, name name, place integer, argument text, type oid, mode "char", required boolean)
language sql stable set search_path = ''
as $$
    select p.oid, p.proname, a.place, coalesce(a.name, ''), a.type, coalesce(a.mode, 'i'),
        -- Inputs come in the order of pronargs; the last of them have the defaults.
        coalesce(a.mode, 'i') in ('i', 'b')
            and count(*) filter (where coalesce(a.mode, 'i') in ('i', 'b', 'v'))
                over (partition by p.oid order by a.place) <= p.pronargs - p.pronargdefaults
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    left join lateral (
        select u.place::integer, u.name, u.type, u.mode
        from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
            with ordinality as u (type, name, mode, place)
    ) as a on true
    where n.nspname = api_functions.schema
        and p.prokind = 'f'
        and p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
        and p.prorettype <> 'pg_catalog.event_trigger'::pg_catalog.regtype
        and not exists (
            select from pg_catalog.pg_depend d
            where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
        )
$$;
comment on function kith.api_functions(name) is
    'Functions of a schema, one row per argument; without any, one row whose place is null.';

grant execute on function
    kith.base_type(oid), kith.api_columns(name), kith.api_references(name), kith.api_functions(name)
    to kith_api;

reset role;
