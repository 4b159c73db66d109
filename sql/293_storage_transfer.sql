-- Files on their way in and out: what the storage program asks as itself, since
-- neither the settings of a bucket nor what is public is anybody's secret, and
-- what it writes after it has asked as the caller whether that is allowed.

set local role kith_owner;

create function kith.upload_bucket(bucket text, type text)
returns table (size_limit bigint, type_allowed boolean)
language sql stable set search_path = ''
as $$
    select b.file_size_limit,
        coalesce(pg_catalog.cardinality(b.allowed_mime_types), 0) = 0
        or upload_bucket.type is null
        -- Browsers declare audio/webm;codecs=opus where an app means audio/webm.
        or exists (
            select
            from pg_catalog.unnest(b.allowed_mime_types) a,
                pg_catalog.lower(pg_catalog.btrim(pg_catalog.split_part(upload_bucket.type, ';', 1))) essence
            where a in ('*', '*/*')
                or pg_catalog.lower(a) = essence
                or pg_catalog.lower(a) = pg_catalog.split_part(essence, '/', 1) || '/*'
        )
    from storage.buckets b
    where b.id = upload_bucket.bucket
$$;
comment on function kith.upload_bucket(text, text) is
    'What a bucket says of an upload of this type (null: not known yet), whoever asks; no row when there is no such bucket.';

create function kith.policies_read_metadata() returns boolean
language sql stable set search_path = ''
as $$
    select exists (
        select
        from pg_catalog.pg_depend d
        join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_policy'::regclass
            and d.refobjid = 'storage.objects'::regclass
            and a.attname in ('metadata', 'user_metadata')
    )
$$;
comment on function kith.policies_read_metadata() is
    'Whether a policy on objects looks at what is known of the file: then an upload cannot be refused before that is known.';

-- The row of a file that is on the disk already.  replaces is the object that
-- the caller may overwrite: if it has gone in the meantime the file is a new
-- one, and if another has its name now the caller has to ask again.  upsert is
-- for whom a signed URL allows to overwrite whatever there is.  What the service
-- overwrites stays that of its owner.
create function kith.store_object(
    bucket text, key text, file text, owner text, metadata jsonb, user_metadata jsonb, replaces uuid, upsert boolean
) returns setof storage.objects
language plpgsql volatile set search_path = ''
as $$
begin
    if store_object.replaces is not null then
        return query
            update storage.objects o
            set version = store_object.file,
                owner = coalesce(store_object.owner::uuid, o.owner),
                owner_id = coalesce(store_object.owner, o.owner_id),
                metadata = store_object.metadata,
                user_metadata = store_object.user_metadata
            where o.id = store_object.replaces and o.bucket_id = store_object.bucket and o.name = store_object.key
            returning o.*;
        if found then
            return;
        end if;
    end if;
    if store_object.upsert then
        return query
            insert into storage.objects as o (bucket_id, name, version, owner, owner_id, metadata, user_metadata)
            values (
                store_object.bucket, store_object.key, store_object.file, store_object.owner::uuid, store_object.owner,
                store_object.metadata, store_object.user_metadata
            )
            on conflict (bucket_id, name) do update
            set version = excluded.version,
                owner = coalesce(excluded.owner, o.owner),
                owner_id = coalesce(excluded.owner_id, o.owner_id),
                metadata = excluded.metadata,
                user_metadata = excluded.user_metadata
            returning o.*;
        return;
    end if;
    return query
        insert into storage.objects as o (bucket_id, name, version, owner, owner_id, metadata, user_metadata)
        values (
            store_object.bucket, store_object.key, store_object.file, store_object.owner::uuid, store_object.owner,
            store_object.metadata, store_object.user_metadata
        )
        returning o.*;
end
$$;
comment on function kith.store_object(text, text, text, text, jsonb, jsonb, uuid, boolean) is
    'Writes the row of a stored file; of many who create one name at once one succeeds, the others have 23505.';

create function kith.downloaded_object(bucket text, key text, signed boolean)
returns table (public boolean, version text, type text, cache_control text, etag text)
language sql stable set search_path = ''
as $$
    select b.public, o.version, o.metadata ->> 'mimetype', o.metadata ->> 'cacheControl', o.metadata ->> 'eTag'
    from storage.buckets b
    left join storage.objects o
        on o.bucket_id = b.id and o.name = downloaded_object.key and (b.public or downloaded_object.signed)
    where b.id = downloaded_object.bucket
$$;
comment on function kith.downloaded_object(text, text, boolean) is
    'The file of an object in a public bucket, or that a signed URL gives away; version is null when it is neither, or missing.';

-- As the caller sees it, or anybody in a public bucket.
create function storage.object_info(o storage.objects) returns json
language sql stable set search_path = ''
as $$
    select pg_catalog.json_build_object(
        'id', o.id,
        'name', o.name,
        'version', o.version,
        'bucket_id', o.bucket_id,
        'size', o.metadata -> 'size',
        'content_type', o.metadata ->> 'mimetype',
        'cache_control', o.metadata ->> 'cacheControl',
        'etag', o.metadata ->> 'eTag',
        'metadata', coalesce(o.user_metadata, '{}'),
        'last_modified', o.metadata ->> 'lastModified',
        'created_at', storage.iso_time(o.created_at)
    )
$$;
comment on function storage.object_info(storage.objects) is 'What info() answers of an object.';
grant execute on function storage.object_info(storage.objects) to anon, authenticated, service_role, kith_storage;

create function kith.public_object_info(bucket text, key text)
returns table (public boolean, info json)
language sql stable set search_path = ''
as $$
    select b.public, case when o.id is not null then storage.object_info(o) end
    from storage.buckets b
    left join storage.objects o on o.bucket_id = b.id and o.name = public_object_info.key and b.public
    where b.id = public_object_info.bucket
$$;
comment on function kith.public_object_info(text, text) is 'The same for an object in a public bucket; info is null when it is not there.';

grant execute on function
    kith.upload_bucket(text, text),
    kith.policies_read_metadata(),
    kith.store_object(text, text, text, text, jsonb, jsonb, uuid, boolean),
    kith.downloaded_object(text, text, boolean),
    kith.public_object_info(text, text)
    to kith_storage;
-- As every login that asks for a statement of its own: it hears of changes of the schema.
grant select on sequence kith.schema_version to kith_storage;

reset role;
