-- Objects: lists, which ask as the caller, and what the storage program does as
-- itself once it has asked as the caller.

set local role kith_owner;

-- Lists.  A folder is no row: it is what names have in common up to a slash.
-- All of this runs as the caller, so that what policies hide is in no list.
--
-- Entries come by one of two functions.  entry is what is behind the first lead
-- letters of a name; of a folder, name ends with a slash and object is null.
-- key is the column that begins with begins_with: lower_name where case does not
-- count, else name.

-- In the order of names.  A folder that was shown is stepped over by its end, so
-- that a list takes as long as it is, however many files lie below.  The planner
-- knows nothing of what policies let through, and would sort the whole bucket:
-- it has to walk the index.
create function storage.list_by_name(
    bucket text,
    key text,
    lead integer,
    begins_with text,
    by_folder boolean,
    descending boolean,
    after_name text,
    max_rows bigint
) returns table (entry text, name text, object storage.objects)
language plpgsql stable set search_path = '' set enable_sort = off
as $$
#variable_conflict use_variable
declare
    -- Behind every letter that a name can have; and behind all of a folder.
    beyond constant text := begins_with || pg_catalog.chr(127);
    folder_end constant text := case when descending then '/' else '0' end;
    at_key text := case when descending then beyond else begins_with end;
    at_name text := '';
    statement constant text := pg_catalog.format(
        'select * from storage.objects o
         where o.bucket_id = $1 and o.%1$I >= $2 and o.%1$I < $3 and (o.%1$I, o.name) %2$s ($4, $5)
         order by o.%1$I %3$s, o.name %3$s
         limit 1000',
        key,
        case when descending then '<' else '>' end,
        case when descending then 'desc' else 'asc' end
    );
    found bigint := 0;
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
        for o in execute statement using bucket, begins_with, beyond, at_key, at_name loop
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
        exit when slash = 0 and fetched < 1000;
    end loop;
end
$$;
comment on function storage.list_by_name(text, text, integer, text, boolean, boolean, text, bigint) is
    'The entries of a list in the order of names, from the one behind after_name.';

-- In the order of a time all of them have to be looked at.  Folders have none:
-- they come first.
create function storage.list_by_time(
    bucket text,
    key text,
    lead integer,
    begins_with text,
    by_folder boolean,
    descending boolean,
    after_name text,
    max_rows bigint,
    sort_column text,
    after_time timestamptz
) returns table (entry text, name text, object storage.objects)
language plpgsql stable set search_path = ''
as $$
begin
    return query execute pg_catalog.format(
        'with found as (
            select o, o.%1$I as at, substr(o.name, $1 + 1) as rest
            from storage.objects o
            where o.bucket_id = $2 and o.%2$I >= $3 and o.%2$I < $3 || chr(127)
         ), entries as (
            select distinct split_part(f.rest, ''/'', 1) as entry, left((f.o).name, $1 + strpos(f.rest, ''/'')) as name, true as is_folder,
                null::storage.objects as o, null::timestamptz as at
            from found f
            where $4 and strpos(f.rest, ''/'') > 0
            union all
            select f.rest, (f.o).name, false, f.o, f.at
            from found f
            where not ($4 and strpos(f.rest, ''/'') > 0)
         )
         select e.entry, e.name, e.o
         from entries e
         where $5 is null
            or case when e.is_folder then e.name > $5 and $5 like ''%%/'' else $5 like ''%%/'' or (e.at, e.name) %3$s ($6, $5) end
         order by e.is_folder desc, e.at %4$s, case when e.is_folder then e.name end collate "C", e.name collate "C" %4$s
         limit $7',
        sort_column,
        key,
        case when descending then '<' else '>' end,
        case when descending then 'desc' else 'asc' end
    ) using lead, bucket, begins_with, by_folder, after_name collate "C", after_time, max_rows;
end
$$;
comment on function storage.list_by_time(text, text, integer, text, boolean, boolean, text, bigint, text, timestamptz) is
    'The entries of a list in the order of a time, folders first, from the one behind after_name.';

create function storage.iso_time(at timestamptz) returns text
language sql immutable set search_path = ''
as $$
    select pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
comment on function storage.iso_time(timestamptz) is 'A time as JavaScript writes it, in UTC.';

-- Case does not count, but where two names differ in nothing else.
create function storage.list(
    bucket text,
    prefix text,
    search text,
    max_rows integer,
    skip integer,
    sort_column text,
    descending boolean
) returns json
language sql stable set search_path = ''
as $$
    with parent as (
        select case when prefix = '' or pg_catalog.right(prefix, 1) = '/' then prefix else prefix || '/' end as name
    ), range as (
        select pg_catalog.length(p.name) as lead, pg_catalog.lower(p.name || search) as begins_with, skip::bigint + max_rows as last
        from parent p
    ), entries as (
        select e.*
        from range r, storage.list_by_name(bucket, 'lower_name', r.lead, r.begins_with, true, descending, null, r.last)
            with ordinality as e (entry, name, object, place)
        where sort_column = 'name'
        union all
        select e.*
        from range r, storage.list_by_time(bucket, 'lower_name', r.lead, r.begins_with, true, descending, null, r.last, sort_column, null)
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
$$;
comment on function storage.list(text, text, text, integer, integer, text, boolean) is
    'A page of a folder: the files, and the folders in it, of which everything but the name is null.';

-- The cursor is the last entry: its name, and its time.
create function storage.list_v2(
    bucket text,
    prefix text,
    by_folder boolean,
    max_rows integer,
    sort_column text,
    descending boolean,
    cursor text
) returns json
language sql stable set search_path = ''
as $$
    with range as (
        select pg_catalog.length(pg_catalog.regexp_replace(prefix, '[^/]*$', '')) as lead,
            nullif(pg_catalog.split_part(c.text, E'\n', 1), '') as after_name,
            nullif(pg_catalog.split_part(c.text, E'\n', 2), '')::timestamptz as after_time
        from (select pg_catalog.convert_from(pg_catalog.decode(cursor, 'base64'), 'UTF8') as text) c
    ), entries as (
        select e.*
        from range r, storage.list_by_name(bucket, 'name', r.lead, prefix, by_folder, descending, r.after_name, max_rows + 1)
            with ordinality as e (entry, name, object, place)
        where sort_column = 'name'
        union all
        select e.*
        from range r, storage.list_by_time(bucket, 'name', r.lead, prefix, by_folder, descending, r.after_name, max_rows + 1, sort_column, r.after_time)
            with ordinality as e (entry, name, object, place)
        where sort_column <> 'name'
    ), page as (
        select pg_catalog.count(*) > max_rows as has_next,
            coalesce(pg_catalog.json_agg(
                pg_catalog.json_build_object('name', e.name, 'key', e.entry) order by e.place
            ) filter (where (e.object).id is null and e.place <= max_rows), '[]') as folders,
            coalesce(pg_catalog.json_agg(
                pg_catalog.json_build_object(
                    'name', e.name,
                    'key', e.entry,
                    'id', (e.object).id,
                    'updated_at', storage.iso_time((e.object).updated_at),
                    'created_at', storage.iso_time((e.object).created_at),
                    'last_accessed_at', storage.iso_time((e.object).last_accessed_at),
                    'metadata', (e.object).metadata
                )
                order by e.place
            ) filter (where (e.object).id is not null and e.place <= max_rows), '[]') as objects,
            pg_catalog.max(pg_catalog.concat_ws(E'\n', e.name, case sort_column
                when 'created_at' then (e.object).created_at
                when 'updated_at' then (e.object).updated_at
            end)) filter (where e.place = max_rows) as last
        from entries e
    )
    select case
        when p.has_next then pg_catalog.json_build_object(
            'hasNext', true,
            'nextCursor', pg_catalog.translate(pg_catalog.encode(pg_catalog.convert_to(p.last, 'UTF8'), 'base64'), E'\n', ''),
            'folders', p.folders,
            'objects', p.objects
        )
        else pg_catalog.json_build_object('hasNext', false, 'folders', p.folders, 'objects', p.objects)
    end
    from page p
$$;
comment on function storage.list_v2(text, text, boolean, integer, text, boolean, text) is
    'A page of the names that begin with a prefix, and a cursor for the next one.';

-- What remove() answers of each.
create function storage.object_json(o storage.objects) returns json
language sql stable set search_path = ''
as $$
    select pg_catalog.json_build_object(
        'name', o.name,
        'bucket_id', o.bucket_id,
        'owner', o.owner,
        'owner_id', o.owner_id,
        'version', o.version,
        'id', o.id,
        'updated_at', storage.iso_time(o.updated_at),
        'created_at', storage.iso_time(o.created_at),
        'last_accessed_at', storage.iso_time(o.last_accessed_at),
        'metadata', o.metadata,
        'user_metadata', o.user_metadata
    )
$$;
comment on function storage.object_json(storage.objects) is 'A row as the API shows it.';

create function storage.bucket_json(b storage.buckets) returns json
language sql stable set search_path = ''
as $$
    select pg_catalog.json_build_object(
        'id', b.id,
        'name', b.name,
        'owner', coalesce(b.owner_id, b.owner::text, ''),
        'public', b.public,
        'file_size_limit', b.file_size_limit,
        'allowed_mime_types', b.allowed_mime_types,
        'created_at', storage.iso_time(b.created_at),
        'updated_at', storage.iso_time(b.updated_at)
    )
$$;
comment on function storage.bucket_json(storage.buckets) is 'A bucket as the API shows it.';

grant execute on function
    storage.list_by_name(text, text, integer, text, boolean, boolean, text, bigint),
    storage.list_by_time(text, text, integer, text, boolean, boolean, text, bigint, text, timestamptz),
    storage.iso_time(timestamptz),
    storage.list(text, text, text, integer, integer, text, boolean),
    storage.list_v2(text, text, boolean, integer, text, boolean, text),
    storage.object_json(storage.objects),
    storage.bucket_json(storage.buckets)
    to anon, authenticated, service_role, kith_storage;

-- What the program does as kith_storage.  Refusals are raised as those of the
-- auth program are: see kith.refuse().

create function kith.find_bucket(id text) returns setof storage.buckets
language sql stable set search_path = ''
as $$
    select b.* from storage.buckets b where b.id = find_bucket.id
$$;
comment on function kith.find_bucket(text) is 'A bucket, whoever asks: for its settings.';

create function kith.find_object(bucket text, name text) returns setof storage.objects
language sql stable set search_path = ''
as $$
    select o.* from storage.objects o where o.bucket_id = find_object.bucket and o.name = find_object.name
$$;
comment on function kith.find_object(text, text) is 'An object, for who needs not be asked: by a signed URL, or in a public bucket.';
grant execute on function kith.find_bucket(text), kith.find_object(text, text) to kith_storage;

reset role;
