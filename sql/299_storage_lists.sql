-- Lists, faster: a time is written in place and not by a call for each, and what
-- a list asks is planned once for a connection, and not for every folder that it
-- steps over.

set local role kith_owner;

create or replace function storage.iso_time(at timestamptz) returns text
language sql stable parallel safe
return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- Four statements whose plans are kept, where a text that is put together would be
-- planned each time.
create function storage.names_behind(
    bucket text,
    key text,
    begins_with text,
    descending boolean,
    at_key text,
    at_name text,
    n integer
) returns setof storage.objects
language plpgsql stable set search_path = '' set enable_sort = off
as $$
declare
    beyond constant text := begins_with || pg_catalog.chr(127);
begin
    if key = 'name' and descending then
        return query select * from storage.objects o
            where o.bucket_id = bucket and o.name >= begins_with and o.name < beyond and (o.name, o.name) < (at_key, at_name)
            order by o.name desc
            limit n;
    elsif key = 'name' then
        return query select * from storage.objects o
            where o.bucket_id = bucket and o.name >= begins_with and o.name < beyond and (o.name, o.name) > (at_key, at_name)
            order by o.name
            limit n;
    elsif descending then
        return query select * from storage.objects o
            where o.bucket_id = bucket and o.lower_name >= begins_with and o.lower_name < beyond and (o.lower_name, o.name) < (at_key, at_name)
            order by o.lower_name desc, o.name desc
            limit n;
    else
        return query select * from storage.objects o
            where o.bucket_id = bucket and o.lower_name >= begins_with and o.lower_name < beyond and (o.lower_name, o.name) > (at_key, at_name)
            order by o.lower_name, o.name
            limit n;
    end if;
end
$$;
comment on function storage.names_behind(text, text, text, boolean, text, text, integer) is
    'Up to n objects whose names begin with something, behind a place in the order of names.';
grant execute on function storage.names_behind(text, text, text, boolean, text, text, integer)
    to anon, authenticated, service_role, kith_storage;

create or replace function storage.list_by_name(
    bucket text,
    key text,
    lead integer,
    begins_with text,
    by_folder boolean,
    descending boolean,
    after_name text,
    max_rows bigint
) returns table (entry text, name text, object storage.objects)
language plpgsql stable set search_path = ''
as $$
#variable_conflict use_variable
declare
    -- Behind all of a folder.
    folder_end constant text := case when descending then '/' else '0' end;
    at_key text := case when descending then begins_with || pg_catalog.chr(127) else begins_with end;
    at_name text := '';
    found bigint := 0;
    -- Few behind a folder, where another one may be next; more as long as there is none.
    batch integer := 4;
    fetched integer;
    slash integer;
    o storage.objects;
begin
    if after_name like '%/' then
        at_key := pg_catalog.left(after_name, -1) || folder_end;
    elsif after_name is not null then
        at_key := after_name;
        at_name := after_name;
    end if;
    while found < max_rows loop
        fetched := 0;
        slash := 0;
        for o in select * from storage.names_behind(bucket, key, begins_with, descending, at_key, at_name, batch) loop
            fetched := fetched + 1;
            found := found + 1;
            slash := case when by_folder then pg_catalog.strpos(pg_catalog.substr(o.name, lead + 1), '/') else 0 end;
            if slash > 0 then
                entry := pg_catalog.substr(o.name, lead + 1, slash - 1);
                name := pg_catalog.left(o.name, lead + slash);
                object := null;
                at_key := pg_catalog.left(case key when 'name' then o.name else o.lower_name end, lead + slash - 1) || folder_end;
                at_name := '';
            else
                entry := pg_catalog.substr(o.name, lead + 1);
                name := o.name;
                object := o;
                at_key := case key when 'name' then o.name else o.lower_name end;
                at_name := o.name;
            end if;
            return next;
            exit when slash > 0 or found >= max_rows;
        end loop;
        exit when slash = 0 and fetched < batch;
        batch := case when slash > 0 then 2 else least(4 * batch, 1000) end;
    end loop;
end
$$;

create or replace function storage.list(
    bucket text,
    prefix text,
    search text,
    max_rows integer,
    skip integer,
    sort_column text,
    descending boolean
) returns json
language plpgsql stable set search_path = ''
as $$
declare
    parent constant text := case when prefix = '' or pg_catalog.right(prefix, 1) = '/' then prefix else prefix || '/' end;
    lead constant integer := pg_catalog.length(parent);
    begins_with constant text := pg_catalog.lower(parent || search);
    last constant bigint := skip::bigint + max_rows;
begin
    return (
        with entries as (
            select e.*
            from storage.list_by_name(bucket, 'lower_name', lead, begins_with, true, descending, null, last)
                with ordinality as e (entry, name, object, place)
            where sort_column = 'name'
            union all
            select e.*
            from storage.list_by_time(bucket, 'lower_name', lead, begins_with, true, descending, null, last, sort_column, null)
                with ordinality as e (entry, name, object, place)
            where sort_column <> 'name'
        )
        select coalesce(pg_catalog.json_agg(
            pg_catalog.json_build_object(
                'name', e.entry,
                'id', (e.object).id,
                'updated_at', storage.iso_time((e.object).updated_at),
                'created_at', storage.iso_time((e.object).created_at),
                'last_accessed_at', storage.iso_time((e.object).last_accessed_at),
                'metadata', (e.object).metadata
            )
            order by e.place
        ), '[]')
        from entries e
        where e.place > skip
    );
end
$$;

reset role;
