-- The TypeScript type of schemas, for createClient<Database>(): what `kith types`
-- prints.  Names, order and layout are those of the generator that supabase-js
-- is used with, so that one file can take the other's place and differences
-- between two versions of it are differences of the schema.
--
-- It differs where the generator knows less than there is to know:
--
-- - A view's column is nullable, optional and without a relationship to the
--   generator.  A client of a dialect sees views only, and would have to check
--   every value for a null that cannot be.  Here a view is typed as the table
--   whose columns it shows (see kith.api_columns); where a trigger does the
--   writing, everything stays optional, since only the trigger knows.
-- - A column that is not null, has no default and takes no value from a signed-in
--   user is filled by the server (a message's number): optional, not required.
-- - A function's row of another schema is written out, where the generator says
--   unknown.  Domains are what they stand for.
-- - TablesInsert and TablesUpdate know views too, and the helper types mean the
--   first of the schemas when none is named.
--
-- A check like role in ('user', 'assistant') stays string, as the generator has
-- it: with a union, role: string of a form no longer fits, nor does a filter.

set local role kith_owner;

-- The generator sorts as people do: a_b, ab, B, c.
create function kith.typescript_place(name text) returns text
language sql immutable set search_path = ''
as $$ select translate(lower(name), '_', ' ') collate "C" $$;
comment on function kith.typescript_place(text) is 'What a name is sorted by.';

create function kith.typescript_key(name text) returns text
language sql immutable set search_path = ''
as $$ select case when name ~ '^[A-Za-z_$][A-Za-z0-9_$]*$' then name else to_json(name)::text end $$;
comment on function kith.typescript_key(text) is 'A name as a key: quoted only when it must be.';

create function kith.typescript_indent(text text, by integer) returns text
language sql immutable set search_path = ''
as $$ select regexp_replace(text, '^(?=.)', repeat(' ', by), 'gn') $$;
comment on function kith.typescript_indent(text, integer) is 'Moves every line to the right.';

-- "  key: a | b", or one member per line when that is longer than 80.
create function kith.typescript_union(head text, members text[]) returns text
language sql immutable set search_path = ''
as $$
    select case
        when cardinality(members) < 2 or length(head) + length(array_to_string(members, ' | ')) < 80
            or array_to_string(members, '') ~ E'\n' then head || ' ' || array_to_string(members, ' | ')
        else head || (
            select string_agg(E'\n' || repeat(' ', length(head) - length(ltrim(head)) + 2) || '| ' || m.member, ''
                order by m.place)
            from unnest(members) with ordinality as m (member, place)
        )
    end
$$;
comment on function kith.typescript_union(text, text[]) is 'A type of several, on one line if it fits.';

-- A type's members as a union.  Enumerations, composites and rows are named
-- where their schema is printed.
create function kith.typescript_type(type oid, schemas name[]) returns text[]
language plpgsql stable set search_path = ''
as $$
declare
    t record;
    element text[];
begin
    select b.oid, b.typname, b.typelem, b.typcategory, b.typtype, n.nspname, c.relkind,
        to_json(n.nspname) as schema_text, to_json(b.typname) as name_text
    into t
    from pg_catalog.pg_type b
    join pg_catalog.pg_namespace n on n.oid = b.typnamespace
    left join pg_catalog.pg_class c on c.oid = b.typrelid
    where b.oid = kith.base_type(type);
    if t.typcategory = 'A' then
        element := kith.typescript_type(t.typelem, schemas);
        return array[case when cardinality(element) > 1 then format('(%s)[]', array_to_string(element, ' | '))
            else element[1] || '[]' end];
    elsif t.typname = 'bool' then
        return '{boolean}';
    elsif t.typname in ('int2', 'int4', 'int8', 'float4', 'float8', 'numeric') then
        return '{number}';
    elsif t.typname in ('bytea', 'bpchar', 'varchar', 'date', 'text', 'citext', 'time', 'timetz', 'timestamp',
        'timestamptz', 'uuid', 'vector', 'interval') then
        return '{string}';
    elsif t.typname in ('json', 'jsonb') then
        return '{Json}';
    elsif t.typname = 'void' then
        return '{undefined}';
    elsif t.typname = 'record' then
        return array['Record<string, unknown>'];
    elsif t.typtype = 'e' and t.nspname = any (schemas) then
        return array[format('Database[%s]["Enums"][%s]', t.schema_text, t.name_text)];
    elsif t.typtype = 'e' then
        return array(select to_json(e.enumlabel)::text from pg_catalog.pg_enum e where e.enumtypid = t.oid
            order by e.enumsortorder);
    elsif t.relkind = 'c' and t.nspname = any (schemas) then
        return array[format('Database[%s]["CompositeTypes"][%s]', t.schema_text, t.name_text)];
    elsif t.relkind is not null and t.nspname = any (schemas) then
        return array[format('Database[%s]["%s"][%s]["Row"]', t.schema_text,
            case when t.relkind in ('v', 'm') then 'Views' else 'Tables' end, t.name_text)];
    end if;
    return '{unknown}';
end
$$;
comment on function kith.typescript_type(oid, name[]) is
    'What a value of a type is in TypeScript: the members of a union.';

-- unknown has null in it already, and so has Json.
create function kith.typescript_nullable(members text[], nullable boolean) returns text[]
language sql immutable set search_path = ''
as $$
    select case
        when members = '{Json}' and not nullable then array['NonNullable<Json>']
        when nullable and members <> '{unknown}' then members || 'null'::text
        else members
    end
$$;
comment on function kith.typescript_nullable(text[], boolean) is 'The same type, with null if that can be.';

-- What is the same in every file: the helper types.
create function kith.typescript_helpers(schema name) returns text
language sql immutable set search_path = ''
as $$
    select format($text$
type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">

type DefaultSchema = %s

type SchemaOption = { schema: keyof DatabaseWithoutInternals }

type Relations<S extends keyof DatabaseWithoutInternals> =
  DatabaseWithoutInternals[S]["Tables"] & DatabaseWithoutInternals[S]["Views"]

type Part<Relation, Name extends "Row" | "Insert" | "Update"> =
  Relation extends Record<Name, infer Shape> ? Shape : never

type RelationPart<
  Name,
  RelationName,
  Kind extends "Row" | "Insert" | "Update",
> = Name extends SchemaOption
  ? RelationName extends keyof Relations<Name["schema"]>
    ? Part<Relations<Name["schema"]>[RelationName], Kind>
    : never
  : Name extends keyof Relations<DefaultSchema>
    ? Part<Relations<DefaultSchema>[Name], Kind>
    : never

export type Tables<
  Name extends keyof Relations<DefaultSchema> | SchemaOption,
  RelationName extends (Name extends SchemaOption
    ? keyof Relations<Name["schema"]>
    : never) = never,
> = RelationPart<Name, RelationName, "Row">

export type TablesInsert<
  Name extends keyof Relations<DefaultSchema> | SchemaOption,
  RelationName extends (Name extends SchemaOption
    ? keyof Relations<Name["schema"]>
    : never) = never,
> = RelationPart<Name, RelationName, "Insert">

export type TablesUpdate<
  Name extends keyof Relations<DefaultSchema> | SchemaOption,
  RelationName extends (Name extends SchemaOption
    ? keyof Relations<Name["schema"]>
    : never) = never,
> = RelationPart<Name, RelationName, "Update">

export type Enums<
  Name extends
    | keyof DatabaseWithoutInternals[DefaultSchema]["Enums"]
    | SchemaOption,
  EnumName extends (Name extends SchemaOption
    ? keyof DatabaseWithoutInternals[Name["schema"]]["Enums"]
    : never) = never,
> = Name extends SchemaOption
  ? DatabaseWithoutInternals[Name["schema"]]["Enums"][EnumName]
  : Name extends keyof DatabaseWithoutInternals[DefaultSchema]["Enums"]
    ? DatabaseWithoutInternals[DefaultSchema]["Enums"][Name]
    : never

export type CompositeTypes<
  Name extends
    | keyof DatabaseWithoutInternals[DefaultSchema]["CompositeTypes"]
    | SchemaOption,
  TypeName extends (Name extends SchemaOption
    ? keyof DatabaseWithoutInternals[Name["schema"]]["CompositeTypes"]
    : never) = never,
> = Name extends SchemaOption
  ? DatabaseWithoutInternals[Name["schema"]]["CompositeTypes"][TypeName]
  : Name extends keyof DatabaseWithoutInternals[DefaultSchema]["CompositeTypes"]
    ? DatabaseWithoutInternals[DefaultSchema]["CompositeTypes"][Name]
    : never
$text$, to_json(schema::text))
$$;
comment on function kith.typescript_helpers(name) is
    'Tables<"messages"> and the like; schema is the one that is meant when none is named.';

create function kith.typescript(schemas name[]) returns text
language sql stable set search_path = ''
as $$
    with named as materialized (
        select n.oid, n.nspname as schema
        from pg_catalog.pg_namespace n
        where n.nspname = any (schemas)
    ),
    -- The schemas that are printed, and those whose rows their functions return.
    columns as materialized (
        select a.schema, c.relation, r.relname, r.relkind, c.place, c.name, c.generated,
            kith.typescript_place(c.name) collate "C" as sorted,
            kith.typescript_key(c.name) as key,
            kith.typescript_type(c.type, schemas) as members,
            not c.not_null as nullable,
            c.default_sql is not null
                or has_any_column_privilege('authenticated', c.relation, 'insert')
                    and not (has_column_privilege('authenticated', c.relation, c.place, 'insert')
                        and coalesce(has_column_privilege('authenticated', c.origin, c.origin_place, 'insert'), true))
                as filled,
            r.relkind in ('r', 'p') or t.instead or pg_column_is_updatable(c.relation, c.place, true) as writable,
            t.instead
        from (
            select n.schema from named n
            union
            select n.nspname
            from named s
            join pg_catalog.pg_proc p on p.pronamespace = s.oid
            join pg_catalog.pg_type t on t.oid = p.prorettype and t.typtype = 'c'
            join pg_catalog.pg_namespace n on n.oid = t.typnamespace
        ) as a
        cross join kith.api_columns(a.schema) c
        join pg_catalog.pg_class r on r.oid = c.relation
        cross join lateral (
            select exists (
                select from pg_catalog.pg_trigger t
                where t.tgrelid = c.relation and t.tgtype & 64 <> 0 and t.tgtype & 20 <> 0
            ) as instead
        ) as t
    ),
    arguments as materialized (
        select n.schema, f.function, f.name, f.argument, f.place, f.required,
            case when f.place is not null then f.mode end as mode, kith.typescript_key(f.argument) as key,
            kith.typescript_type(f.type, schemas) as members,
            kith.typescript_place(f.argument) collate "C" as sorted,
            r.oid as relation, r.relname
        from named n
        cross join kith.api_functions(n.schema) f
        left join pg_catalog.pg_type t on t.oid = f.type
        left join pg_catalog.pg_class r on r.oid = t.typrelid and r.relkind <> 'c'
    ),
    fields (relation, read, inserted, updated) as materialized (
        select c.relation,
            string_agg(kith.typescript_union('          ' || c.key || ':',
                kith.typescript_nullable(c.members, c.nullable)), E'\n' order by c.sorted),
            string_agg(
                case
                    when c.generated or not c.writable then '          ' || c.key || '?: never'
                    else kith.typescript_union(
                        concat('          ', c.key, case when c.nullable or c.filled or c.instead then '?' end, ':'),
                        kith.typescript_nullable(c.members, c.nullable or c.instead))
                end, E'\n' order by c.sorted),
            string_agg(
                case
                    when c.generated or not c.writable then '          ' || c.key || '?: never'
                    else kith.typescript_union(concat('          ', c.key, '?:'),
                        kith.typescript_nullable(c.members, c.nullable or c.instead))
                end, E'\n' order by c.sorted)
        from columns c
        group by c.relation
    ),
    functions as materialized (
        select a.schema, a.function, a.name, p.proretset::text as is_set,
            case when n.nspname = a.schema then r.relname end as row_name,
            min(a.relname) filter (where a.mode in ('i', 'b', 'v')) as from_name,
            min(a.relation) filter (where a.mode in ('i', 'b', 'v')) as of_relation,
            count(a.place) filter (where a.mode in ('i', 'b', 'v')) as inputs,
            -- One row is expected, as far as the client may know.
            (not p.proretset or p.prorows = 1)::text as single,
            pg_get_function_arguments(p.oid) as signature,
            coalesce('{ ' || string_agg(
                concat(a.key, case when not a.required then '?' end, ': ', array_to_string(a.members, ' | ')),
                '; ' order by a.sorted) filter (where a.mode in ('i', 'b', 'v')) || ' }',
                'Record<PropertyKey, never>') as args,
            string_agg(
                kith.typescript_union(concat('  ', a.key, case when not a.required then '?' end, ':'), a.members), E'\n'
                order by a.sorted) filter (where a.mode in ('i', 'b', 'v')) as arg_lines,
            coalesce(
                '{' || E'\n' || coalesce(
                    string_agg(kith.typescript_union(concat('          ', a.key, ':'), a.members),
                        E'\n' order by a.sorted) filter (where a.mode = 't'),
                    case when p.prorettype = 'pg_catalog.record'::pg_catalog.regtype then
                        string_agg(kith.typescript_union(concat('          ', a.key, ':'), a.members),
                            E'\n' order by a.sorted) filter (where a.mode in ('o', 'b')) end,
                    (select l.read from fields l where l.relation = r.oid),
                    case when r.relkind = 'c' and n.nspname <> all (schemas) then (
                        select string_agg(kith.typescript_union('          ' || kith.typescript_key(c.attname) || ':',
                                kith.typescript_nullable(kith.typescript_type(c.atttypid, schemas), true)), E'\n'
                            order by kith.typescript_place(c.attname) collate "C")
                        from pg_catalog.pg_attribute c
                        where c.attrelid = r.oid and c.attnum > 0 and not c.attisdropped
                    ) end) || E'\n        }',
                array_to_string(kith.typescript_type(p.prorettype, schemas), ' | ')) as returned
        from arguments a
        join pg_catalog.pg_proc p on p.oid = a.function
        join pg_catalog.pg_type t on t.oid = p.prorettype
        left join pg_catalog.pg_class r on r.oid = t.typrelid
        left join pg_catalog.pg_namespace n on n.oid = r.relnamespace
        group by a.schema, a.function, a.name, p.oid, n.nspname, r.oid, r.relname, r.relkind
        -- Callable by name, or with one value: json, text or a row.
        having count(*) filter (where a.argument = '' and a.place is not null and a.mode in ('i', 'b', 'v')) = 0
            or p.pronargs = 1 and (bool_or(a.relation is not null)
                or p.proargtypes[0] in (25, 114, 3802))  -- text, json, jsonb
    ),
    signatures as materialized (
        select f.schema, f.name, kith.typescript_place(f.signature) collate "C" as sorted,
            count(*) over (partition by f.schema, f.name) as variants,
            f.args,
            f.arg_lines,
            case
                -- A computed field: part of its table's rows.
                when f.inputs = 1 and f.of_relation is not null and f.row_name is null
                    then format(E'{\n          error: true\n        } & %s', to_json(format(
                        'the function %s.%s with parameter or with a single unnamed json/jsonb parameter, but'
                        ' no matches were found in the schema cache', f.schema, f.name)))
                else f.returned || case
                    when f.is_set = 'true' and (f.single = 'false' or f.row_name is null) then '[]'
                    else ''
                end
            end as returns,
            case when f.row_name is not null and (f.of_relation is null or f.inputs = 1)
                then format(E'{\n          from: %s\n          to: %s\n          isOneToOne: %s\n'
                    '          isSetofReturn: %s\n        }',
                    to_json(coalesce(case when f.inputs = 1 then f.from_name end, '*')), to_json(f.row_name),
                    f.single, f.is_set)
            end as options
        from functions f
    ),
    function_entries (schema, sorted, entry) as materialized (
        select s.schema, kith.typescript_place(s.name) collate "C",
            case
                when s.variants > 1 then format(E'      %s:\n%s', kith.typescript_key(s.name),
                    string_agg('        | ' || ltrim(kith.typescript_indent(o.one, 4)), E'\n' order by s.sorted))
                else format('      %s: %s', kith.typescript_key(s.name), min(o.one))
            end
        from signatures s
        cross join lateral (
            select case
                when s.options is null and s.returns !~ E'\n'
                    and length(concat(kith.typescript_key(s.name), s.args, s.returns)) <= 49
                    then format('{ Args: %s; Returns: %s }', s.args, s.returns)
                else concat(
                    E'{\n        Args: ',
                    case
                        when length(s.args) <= 66 or s.arg_lines is null then s.args
                        else concat(E'{\n', kith.typescript_indent(s.arg_lines, 8), E'\n        }')
                    end,
                    E'\n        Returns: ', s.returns, E'\n        SetofOptions: ' || s.options, E'\n      }')
            end as one
        ) as o
        group by s.schema, s.name, s.variants
    ),
    computed (relation, lines) as materialized (
        select f.of_relation,
            string_agg(format(E'\n          %s: %s', kith.typescript_key(f.name),
                ltrim(kith.typescript_indent(f.returned, 2)) || ' | null'), ''
                order by kith.typescript_place(f.name) collate "C")
        from functions f
        where f.inputs = 1 and f.of_relation is not null
        group by f.of_relation
    ),
    relationships (relation, lines) as materialized (
        select k.relation,
            string_agg(format(E'\n          {\n            foreignKeyName: %s\n            columns: [%s]\n'
                '            isOneToOne: %s\n            referencedRelation: %s\n'
                '            referencedColumns: [%s]\n          },',
                to_json(k.name), k.columns, k.one_to_one, to_json(k.target), k.target_columns), ''
                order by kith.typescript_place(k.name) collate "C", kith.typescript_place(k.target) collate "C",
                    k.columns collate "C", k.target_columns collate "C")
        from (
            select f.relation, f.name, f.one_to_one::text as one_to_one, r.relname as target,
                (select string_agg(to_json(c.name)::text, ', ' order by c.place)
                    from unnest(f.columns) with ordinality as c (name, place)) as columns,
                (select string_agg(to_json(c.name)::text, ', ' order by c.place)
                    from unnest(f.target_columns) with ordinality as c (name, place)) as target_columns
            from named n
            cross join kith.api_references(n.schema) f
            join pg_catalog.pg_class r on r.oid = f.target
        ) as k
        group by k.relation
    ),
    relation_entries (schema, is_view, sorted, entry) as materialized (
        select r.schema, r.is_view, kith.typescript_place(r.relname) collate "C",
            concat('      ', kith.typescript_key(r.relname),
                E': {\n        Row: {\n', f.read, c.lines, E'\n        }\n',
                case when r.change & 8 <> 0 then concat(E'        Insert: {\n', f.inserted, E'\n        }\n') end,
                case when r.change & 4 <> 0 then concat(E'        Update: {\n', f.updated, E'\n        }\n') end,
                '        Relationships: [', k.lines || E'\n        ', E']\n      }')
        from (
            select distinct c.schema, c.relation, c.relname, c.relkind in ('v', 'm') as is_view,
                pg_relation_is_updatable(c.relation, true) as change
            from columns c
            join named n on n.schema = c.schema
        ) as r
        join fields f on f.relation = r.relation
        left join computed c on c.relation = r.relation
        left join relationships k on k.relation = r.relation
    ),
    enums (schema, sorted, key, labels) as materialized (
        select n.schema, kith.typescript_place(t.typname) collate "C", kith.typescript_key(t.typname),
            array_agg(to_json(e.enumlabel)::text order by e.enumsortorder)
        from named n
        join pg_catalog.pg_type t on t.typnamespace = n.oid
        join pg_catalog.pg_enum e on e.enumtypid = t.oid
        group by n.schema, t.typname
    ),
    composites (schema, sorted, entry) as materialized (
        select n.schema, kith.typescript_place(c.relname) collate "C",
            format(E'      %s: {\n%s\n      }', kith.typescript_key(c.relname),
                string_agg(kith.typescript_union('        ' || kith.typescript_key(a.attname) || ':',
                    kith.typescript_nullable(kith.typescript_type(a.atttypid, schemas), true)),
                    E'\n' order by a.attnum))
        from named n
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind = 'c'
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        group by n.schema, c.relname
    ),
    printed (schema, sorted, types, constants) as (
        select n.schema, kith.typescript_place(n.schema) collate "C",
            format(E'  %s: {\n    Tables: {\n%s\n    }\n    Views: {\n%s\n    }\n    Functions: {\n%s\n    }\n'
                '    Enums: {\n%s\n    }\n    CompositeTypes: {\n%s\n    }\n  }',
                kith.typescript_key(n.schema),
                coalesce((select string_agg(r.entry, E'\n' order by r.sorted) from relation_entries r
                    where r.schema = n.schema and not r.is_view), '      [_ in never]: never'),
                coalesce((select string_agg(r.entry, E'\n' order by r.sorted) from relation_entries r
                    where r.schema = n.schema and r.is_view), '      [_ in never]: never'),
                coalesce((select string_agg(f.entry, E'\n' order by f.sorted) from function_entries f
                    where f.schema = n.schema), '      [_ in never]: never'),
                coalesce((
                    select string_agg(kith.typescript_union('      ' || e.key || ':', e.labels), E'\n'
                        order by e.sorted)
                    from enums e where e.schema = n.schema), '      [_ in never]: never'),
                coalesce((select string_agg(c.entry, E'\n' order by c.sorted) from composites c
                    where c.schema = n.schema), '      [_ in never]: never')),
            format('  %s: {', kith.typescript_key(n.schema)) || coalesce(
                (select E'\n    Enums: {\n' || string_agg(
                    case
                        when length(e.key) + length(array_to_string(e.labels, ', ')) <= 69
                            then format('      %s: [%s],', e.key, array_to_string(e.labels, ', '))
                        else format(E'      %s: [\n        %s,\n      ],', e.key,
                            array_to_string(e.labels, E',\n        '))
                    end, E'\n' order by e.sorted) || E'\n    },\n  },'
                from enums e where e.schema = n.schema),
                E'\n    Enums: {},\n  },')
        from named n
    )
    select concat(
        E'export type Json =\n  | string\n  | number\n  | boolean\n  | null\n',
        E'  | { [key: string]: Json | undefined }\n  | Json[]\n\nexport type Database = {\n',
        string_agg(p.types, E'\n' order by p.sorted), E'\n}\n',
        kith.typescript_helpers(schemas[1]),
        E'\nexport const Constants = {\n', string_agg(p.constants, E'\n' order by p.sorted), E'\n} as const\n')
    from printed p
    having count(*) = (select count(distinct s) from unnest(schemas) s)
$$;
comment on function kith.typescript(name[]) is
    'The TypeScript type of these schemas, the default one first; null when one does not exist.';
-- No grant: only who owns the database prints it.

reset role;
