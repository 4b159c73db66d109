-- Columns of an application that are named like ours and are something else: a
-- list of paths, a created_at that has no order.  They must not keep an account
-- from being exported or erased.

set local role kith_owner;

create or replace function kith.file_columns() returns table (relation regclass, column_name name)
language sql stable set search_path = ''
as $$
    select a.attrelid::regclass, a.attname
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where a.attnum > 0
        and not a.attisdropped
        and a.attname like '%storage\_path'
        and kith.base_type(a.atttypid) in ('text'::regtype, 'varchar'::regtype)
        and c.relkind in ('r', 'p')
        and not c.relispartition
        and n.nspname not in ('kith', 'auth', 'storage', 'extensions', 'information_schema')
        and n.nspname !~ '^pg_'
$$;
comment on function kith.file_columns() is 'The columns that hold paths of files, one as a text each, by the catalogue.';

create or replace function kith.owned_rows(relation regclass, condition text, owner uuid) returns json
language plpgsql stable set search_path = ''
as $$
declare
    columns text;
    oldest_first text;
    rows json;
begin
    select pg_catalog.string_agg(pg_catalog.format('t.%I', a.attname), ', ' order by a.attnum),
        pg_catalog.string_agg('order by t.created_at', '') filter (
            where a.attname = 'created_at' and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)
        )
    into columns, oldest_first
    from pg_catalog.pg_attribute a
    where a.attrelid = owned_rows.relation
        and a.attnum > 0
        and not a.attisdropped
        -- Made from the text beside it, and larger than all the rest.
        and a.atttypid <> 'extensions.vector'::regtype;
    execute pg_catalog.format(
        'select coalesce(json_agg(r.*), ''[]'') from (select %s from %s t where %s %s) r',
        columns, relation, condition, oldest_first
    ) into rows using owner;
    return rows;
end
$$;

reset role;
