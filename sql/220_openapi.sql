-- The description of the API that GET /rest/v1/ answers with: what sql/215_api.sql
-- tells of a schema, as Swagger 2.0, in the shape that PostgREST prints, because
-- that is what clients and generators read.
--
-- The login of the API runs this too; the rights that it looks at are those of
-- the role that it is given.

set local role kith_owner;

comment on schema public is E'Kith\n\nTables and functions under their own names.';

create function kith.swagger_name(name text) returns text
language plpgsql immutable set search_path = ''
as $$
begin
    if name ~ '^[A-Za-z0-9_.-]*$' then
        return name;
    end if;
    return (
        select string_agg(
            case when c.letter ~ '[A-Za-z0-9_.-]' then c.letter
                else regexp_replace(upper(encode(convert_to(c.letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g') end,
            '' order by c.place)
        from regexp_split_to_table(name, '') with ordinality as c (letter, place)
    );
end
$$;
comment on function kith.swagger_name(text) is
    'A name as part of a path or a reference: percent-encoded where it is an odd one.';

-- What a type is in JSON, and what it is called.  A domain of the application is
-- called by what it stands for; the stand-in for pgvector is called vector, as
-- the real type is.  An array says what is in it; json can be anything.
create function kith.swagger_type(type oid, modifier integer)
returns table (json_type text, items json, format text, max_length integer)
language sql stable set search_path = ''
as $$
    with types (place, oid, kind, category) as (
        select 1, t.oid, t.typname, t.typcategory
        from pg_catalog.pg_type t
        where t.oid = kith.base_type(type)
        union all
        select 2, e.oid, e.typname, e.typcategory
        from pg_catalog.pg_type t
        join pg_catalog.pg_type e on e.oid = kith.base_type(t.typelem)
        where t.oid = kith.base_type(type) and t.typcategory = 'A'
    ),
    words (place, oid, word) as (
        select t.place, t.oid,
            case
                when t.category = 'A' then 'array'
                when t.kind = 'bool' then 'boolean'
                when t.kind in ('int2', 'int4', 'int8') then 'integer'
                when t.kind in ('numeric', 'float4', 'float8') then 'number'
                when t.kind in ('json', 'jsonb') then null
                else 'string'
            end
        from types t
    )
    select w.word,
        (select json_strip_nulls(json_build_object('type', i.word)) from words i where i.place = 2),
        case
            when d.typnamespace = 'extensions'::pg_catalog.regnamespace then format_type(d.oid, modifier)
            when b.typnamespace = 'pg_catalog'::pg_catalog.regnamespace then format_type(b.oid, null)
            else format_type(b.oid, modifier)
        end,
        case when b.typname in ('varchar', 'bpchar') and modifier > 4 then modifier - 4 end
    from words w
    join pg_catalog.pg_type b on b.oid = w.oid
    cross join pg_catalog.pg_type d
    where w.place = 1 and d.oid = type
$$;
comment on function kith.swagger_type(oid, integer) is 'What a type is in JSON, and what it is called.';

-- The first line of a comment, and what comes after it.
create function kith.swagger_summary(comment text) returns text
language sql immutable set search_path = ''
as $$ select nullif(split_part(comment, E'\n', 1), '') $$;
comment on function kith.swagger_summary(text) is 'The first line of a comment.';

create function kith.swagger_description(comment text) returns text
language sql immutable set search_path = ''
as $$ select nullif(ltrim(substr(comment, length(split_part(comment, E'\n', 1)) + 1), E'\n'), '') $$;
comment on function kith.swagger_description(text) is 'What follows the first line of a comment.';

-- What every schema has.
create function kith.swagger_parameters() returns json
language sql immutable set search_path = ''
as $$
    select '{
        "preferParams": {"name": "Prefer", "description": "Preference", "required": false, "in": "header",
            "type": "string", "enum": ["count=exact", "count=planned", "count=estimated"]},
        "preferReturn": {"name": "Prefer", "description": "Preference", "required": false, "in": "header",
            "type": "string", "enum": ["return=representation", "return=minimal"]},
        "preferCount": {"name": "Prefer", "description": "Preference", "required": false, "in": "header",
            "type": "string", "enum": ["count=exact", "count=planned", "count=estimated"]},
        "preferPost": {"name": "Prefer", "description": "Preference", "required": false, "in": "header",
            "type": "string", "enum": ["return=representation", "return=minimal", "resolution=ignore-duplicates",
                "resolution=merge-duplicates", "missing=default"]},
        "select": {"name": "select", "description": "Filtering Columns", "required": false, "in": "query",
            "type": "string"},
        "on_conflict": {"name": "on_conflict", "description": "On Conflict", "required": false, "in": "query",
            "type": "string"},
        "order": {"name": "order", "description": "Ordering", "required": false, "in": "query", "type": "string"},
        "range": {"name": "Range", "description": "Limiting and Pagination", "required": false, "in": "header",
            "type": "string"},
        "rangeUnit": {"name": "Range-Unit", "description": "Limiting and Pagination", "required": false, "in": "header",
            "type": "string", "default": "items"},
        "offset": {"name": "offset", "description": "Limiting and Pagination", "required": false, "in": "query",
            "type": "string"},
        "limit": {"name": "limit", "description": "Limiting and Pagination", "required": false, "in": "query",
            "type": "string"}
    }'::json
$$;
comment on function kith.swagger_parameters() is 'Parameters that every table shares.';

create function kith.swagger_references(variadic names text[]) returns json
language sql immutable set search_path = ''
as $$
    select json_agg(json_build_object('$ref', '#/parameters/' || n.name) order by n.place)
    from unnest(names) with ordinality as n (name, place)
$$;
comment on function kith.swagger_references(text[]) is 'A list of parameters that are described elsewhere.';

-- {"a": ..., "b": ...} of two objects.  Not jsonb: keys keep their order.
create function kith.json_merge(variadic parts json[]) returns json
language sql immutable set search_path = ''
as $$
    select coalesce(json_object_agg(e.key, e.value order by p.place, e.number), '{}')
    from unnest(parts) with ordinality as p (part, place),
        json_each(p.part) with ordinality as e (key, value, number)
$$;
comment on function kith.json_merge(json[]) is 'The members of several objects in one, in their order.';

create function kith.openapi(schema name, role name) returns json
language sql stable set search_path = ''
as $$
    with columns as materialized (
        select * from kith.api_columns(openapi.schema)
    ),
    types as materialized (
        select t.type, t.modifier, w.*
        from (
            select c.type, c.modifier from columns c
            union
            select f.type, null from kith.api_functions(openapi.schema) f where f.place is not null
        ) as t
        cross join kith.swagger_type(t.type, t.modifier) w
    ),
    -- Tables and views of which the role may do something: and what.
    relations as materialized (
        select c.oid, c.relname as name, kith.swagger_name(c.relname) as path,
            obj_description(c.oid, 'pg_class') as comment,
            has_table_privilege(openapi.role, c.oid, 'select') as reads,
            has_any_column_privilege(openapi.role, c.oid, 'insert') and can.change & 8 <> 0 as inserts,
            has_any_column_privilege(openapi.role, c.oid, 'update') and can.change & 4 <> 0 as updates,
            has_table_privilege(openapi.role, c.oid, 'delete') and can.change & 16 <> 0 as deletes
        from (select distinct s.relation from columns s) as r
        join pg_catalog.pg_class c on c.oid = r.relation
        cross join pg_relation_is_updatable(c.oid, true) as can (change)
        where has_schema_privilege(openapi.role, c.relnamespace, 'usage')
    ),
    allowed as materialized (
        select * from relations r where r.reads or r.inserts or r.updates or r.deletes
    ),
    -- Where a column leads; to a table rather than to a view of it.
    keys as materialized (
        select distinct on (c.relation, c.name) c.relation, c.name, a.name as target, t.name as target_column
        from columns c
        join pg_catalog.pg_constraint k
            on k.contype = 'f' and k.conparentid = 0 and k.conrelid = c.origin and k.conkey = array[c.origin_place]
        join columns t on t.origin = k.confrelid and t.origin_place = k.confkey[1]
        join allowed a on a.oid = t.relation
        order by c.relation, c.name, a.oid <> k.confrelid, a.name, t.place
    ),
    described as materialized (
        select a.oid as relation, a.name as relation_name, a.path, c.name, c.place, c.not_null, c.description,
            json_strip_nulls(json_build_object(
                -- Text without its cast and quotes, numbers and truth values as
                -- they are; a function that makes a text (now(), say) as its own.
                -- Anything else cannot be told in JSON.
                'default', case
                    when t.json_type = 'string' then to_json(coalesce(
                        replace(substring(c.default_sql from '^''((?:[^'']|'''')*)''::[a-z ]+$'), '''''', ''''),
                        substring(c.default_sql from '^[a-z_.]+\(.*\)$')))
                    when t.json_type = 'boolean' and c.default_sql in ('true', 'false')
                        or t.json_type in ('integer', 'number') and c.default_sql ~ '^(0|[1-9][0-9]*)([.][0-9]+)?$'
                        then c.default_sql::json
                end,
                'description', nullif(concat_ws(E'\n\n',
                    c.description,
                    'Note:' || nullif(
                        case when c.is_key then E'\nThis is a Primary Key.<pk/>' else '' end
                        || coalesce(E'\nThis is a Foreign Key to `' || k.target || '.' || k.target_column
                            || '`.<fk table=''' || k.target || ''' column=''' || k.target_column || '''/>', ''),
                        '')), ''),
                'enum', array_to_json(c.words),
                'format', t.format,
                'items', t.items,
                'maxLength', t.max_length,
                'type', t.json_type
            )) as property
        from allowed a
        join columns c on c.relation = a.oid
        join types t on t.type = c.type and t.modifier = c.modifier
        left join keys k on k.relation = a.oid and k.name = c.name
    ),
    definitions (relation, definition, filters, filter_references) as materialized (
        select d.relation,
            json_build_object(
                'properties', json_object_agg(d.name, d.property order by d.place),
                'required', json_agg(d.name order by d.place) filter (where d.not_null)
            ),
            json_object_agg(
                'rowFilter.' || d.relation_name || '.' || d.name,
                json_build_object('name', d.name, 'description', d.description, 'required', false, 'in', 'query',
                    'type', 'string')
                order by d.place
            ),
            array_agg('rowFilter.' || d.path || '.' || kith.swagger_name(d.name) order by d.place)
        from described d
        group by d.relation
    ),
    table_paths (path, item) as materialized (
        select '/' || a.path,
            json_build_object(
                'get', case when a.reads then kith.json_merge(o.head, json_build_object(
                    'parameters', kith.swagger_references(variadic d.filter_references
                        || array['select', 'order', 'range', 'rangeUnit', 'offset', 'limit', 'preferCount']),
                    'responses', json_build_object(
                        '200', json_build_object('description', 'OK',
                            'schema', json_build_object('type', 'array',
                                'items', json_build_object('$ref', '#/definitions/' || a.path))),
                        '206', json_build_object('description', 'Partial Content')))) end,
                'post', case when a.inserts then kith.json_merge(o.head, json_build_object(
                    'parameters', kith.swagger_references('body.' || a.path, 'select', 'on_conflict', 'preferPost'),
                    'responses', json_build_object('201', json_build_object('description', 'Created')))) end,
                'delete', case when a.deletes then kith.json_merge(o.head, json_build_object(
                    'parameters', kith.swagger_references(variadic d.filter_references || 'preferReturn'::text),
                    'responses', json_build_object('204', json_build_object('description', 'No Content')))) end,
                'patch', case when a.updates then kith.json_merge(o.head, json_build_object(
                    'parameters', kith.swagger_references(variadic d.filter_references
                        || array['body.' || a.path, 'preferReturn']),
                    'responses', json_build_object('204', json_build_object('description', 'No Content')))) end
            )
        from allowed a
        join definitions d on d.relation = a.oid
        cross join lateral (
            select json_build_object('tags', json_build_array(a.name),
                'summary', kith.swagger_summary(a.comment),
                'description', kith.swagger_description(a.comment)) as head
        ) as o
    ),
    arguments as materialized (
        select f.*, t.json_type, t.items, t.format
        from kith.api_functions(openapi.schema) f
        left join types t on t.type = f.type and t.modifier is null
        where (f.mode in ('i', 'b', 'v') or f.place is null)
            and has_schema_privilege(openapi.role, to_regnamespace(quote_ident(openapi.schema)), 'usage')
            and has_function_privilege(openapi.role, f.function, 'execute')
    ),
    -- A path stands for one function: of overloaded ones that with most arguments.
    functions as materialized (
        select distinct on (a.name) a.name, a.function, p.provolatile <> 'v' as reads,
            obj_description(a.function, 'pg_proc') as comment
        from arguments a
        join pg_catalog.pg_proc p on p.oid = a.function
        where p.pronargs = 0
            or p.proargnames[1] <> ''
            or (p.pronargs = 1 and p.proargtypes[0] in (114, 3802))  -- one unnamed json or jsonb
        order by a.name, p.pronargs desc, pg_get_function_identity_arguments(a.function)
    ),
    function_paths (path, item) as materialized (
        select '/rpc/' || kith.swagger_name(f.name),
            json_build_object(
                'get', case when f.reads then kith.json_merge(o.head, json_build_object(
                    'parameters', coalesce(g.query, '[]'), 'responses', o.responses)) end,
                'post', kith.json_merge(o.head, json_build_object(
                    'parameters', json_build_array(
                        json_build_object('name', 'args', 'required', true, 'in', 'body', 'schema', json_build_object(
                            'description', f.comment, 'type', g.type, 'properties', coalesce(g.properties, '{}'),
                            'required', g.required)),
                        json_build_object('$ref', '#/parameters/preferParams')),
                    'responses', o.responses))
            )
        from functions f
        cross join lateral (
            select
                case when bool_or(a.argument = '' and a.place is not null) then null else 'object' end as type,
                json_object_agg(a.argument, json_build_object('format', a.format, 'items', a.items, 'type', a.json_type)
                    order by a.place) filter (where a.argument <> '') as properties,
                json_agg(a.argument order by a.place) filter (where a.required and a.argument <> '') as required,
                -- An array is written {1,2} in a query; a variadic argument is repeated.
                json_agg(
                    case
                        when a.mode = 'v' then json_build_object(
                            'name', a.argument, 'required', a.required, 'in', 'query', 'type', 'array',
                            'collectionFormat', 'multi',
                            'items', json_build_object('type', coalesce(a.items ->> 'type', 'string')))
                        else json_build_object(
                            'name', a.argument, 'required', a.required, 'in', 'query', 'format', a.format,
                            'type', coalesce(nullif(a.json_type, 'array'), 'string'))
                    end order by a.place) filter (where a.argument <> '') as query
            from arguments a
            where a.function = f.function
        ) as g
        cross join lateral (
            select json_build_object('tags', json_build_array('(rpc) ' || f.name),
                    'summary', kith.swagger_summary(f.comment),
                    'description', kith.swagger_description(f.comment),
                    'produces', json_build_array('application/json', 'application/vnd.pgrst.object+json;nulls=stripped',
                        'application/vnd.pgrst.object+json')) as head,
                '{"200": {"description": "OK"}}'::json as responses
        ) as o
    )
    select json_strip_nulls(json_build_object(
        'swagger', '2.0',
        'info', json_build_object(
            'title', coalesce(kith.swagger_summary(s.comment), openapi.schema),
            'description', coalesce(kith.swagger_description(s.comment), ''),
            'version', '1'),
        'basePath', '/rest/v1',
        'consumes', json_build_array('application/json', 'application/vnd.pgrst.object+json'),
        'produces', json_build_array('application/json', 'application/vnd.pgrst.object+json;nulls=stripped',
            'application/vnd.pgrst.object+json', 'text/csv'),
        'paths', kith.json_merge(
            '{"/": {"get": {"tags": ["Introspection"], "summary": "OpenAPI description (this document)",
                "produces": ["application/openapi+json", "application/json"],
                "responses": {"200": {"description": "OK"}}}}}'::json,
            (select json_object_agg(p.path, p.item order by p.path collate "C") from table_paths p),
            (select json_object_agg(p.path, p.item order by p.path collate "C") from function_paths p)),
        'definitions', coalesce((
            select json_object_agg(a.name, kith.json_merge(
                json_build_object('description', a.comment, 'type', 'object'), d.definition) order by a.name)
            from allowed a
            join definitions d on d.relation = a.oid), '{}'),
        'parameters', kith.json_merge(variadic kith.swagger_parameters() || coalesce((
            select array_agg(kith.json_merge(
                json_build_object('body.' || a.name, json_build_object('name', a.name, 'description', a.name,
                    'required', false, 'in', 'body',
                    'schema', json_build_object('$ref', '#/definitions/' || a.path))),
                d.filters) order by a.name)
            from allowed a
            join definitions d on d.relation = a.oid), '{}')),
        'securityDefinitions', '{
            "apikey": {"type": "apiKey", "name": "apikey", "in": "header", "description": "The key of the app"},
            "JWT": {"type": "apiKey", "name": "Authorization", "in": "header",
                "description": "The token of the user, after \"Bearer \" (without quotes)"}}'::json,
        'security', '[{"apikey": []}, {"apikey": [], "JWT": []}]'::json
    ))
    from (
        select obj_description(to_regnamespace(quote_ident(openapi.schema)), 'pg_namespace') as comment
    ) as s
$$;
comment on function kith.openapi(name, name) is
    'The description of a schema for a role, as Swagger 2.0: what GET /rest/v1/ answers.';
grant execute on function
    kith.swagger_name(text), kith.swagger_type(oid, integer), kith.swagger_summary(text),
    kith.swagger_description(text), kith.swagger_parameters(), kith.swagger_references(text[]),
    kith.json_merge(json[]), kith.openapi(name, name)
    to kith_api;

reset role;
