-- Storage: buckets, and the objects in them.  Tables, columns and functions are
-- those of Supabase, so that policies, functions and dumps written for it hold
-- here.  The bytes are in files, which the storage program keeps: a row says
-- which by its version, and its name is never a path on the disk.

create schema storage authorization kith_owner;
comment on schema storage is 'Files: buckets, and the objects in them.  Not a schema of the REST API.';
grant usage on schema storage to anon, authenticated, service_role, kith_storage;

set local role kith_owner;

-- Buckets.  Settings of an upload are looked up without regard to policies; who
-- may list and change buckets is said by policies, of which none comes along.
create table storage.buckets (
    id text collate "C" primary key,
    name text not null constraint buckets_name_unique unique,
    owner uuid,
    owner_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    public boolean not null default false,
    file_size_limit bigint constraint buckets_file_size_limit_positive check (file_size_limit >= 0),
    allowed_mime_types text[],
    avif_autodetection boolean not null default false,
    type text not null default 'STANDARD' constraint buckets_type_known check (type = 'STANDARD'),
    constraint buckets_id_letters check (id ~ '^[A-Za-z0-9_!.*''() &$=@;:+,?-]{1,100}$' and id !~ '^ | $')
);
comment on table storage.buckets is 'What files are kept in; made by kith migrate, and by the service.';
comment on column storage.buckets.id is 'First part of the path of every file in it.';
comment on column storage.buckets.name is 'The same.';
comment on column storage.buckets.owner is 'Who made it, of older servers.';
comment on column storage.buckets.owner_id is 'Who made it; null for the service.';
comment on column storage.buckets.created_at is 'When it was made.';
comment on column storage.buckets.updated_at is 'When the row last changed.';
comment on column storage.buckets.public is 'Whether everybody may read its files who knows their names.';
comment on column storage.buckets.file_size_limit is 'Most bytes of one file; null is the limit of the server.';
comment on column storage.buckets.allowed_mime_types is 'Kinds of files that may be stored: type/subtype, type/* or *; null is all.';
comment on column storage.buckets.avif_autodetection is 'Kept for dumps.';
comment on column storage.buckets.type is 'STANDARD.';
comment on constraint buckets_file_size_limit_positive on storage.buckets is 'file_size_limit is a number of bytes.';
comment on constraint buckets_type_known on storage.buckets is 'type is STANDARD.';
comment on constraint buckets_id_letters on storage.buckets is
    'The name of a bucket has 1 to 100 letters a to z, digits, blanks inside and _!.*''()&$=@;:+,?-';
alter table storage.buckets enable row level security, force row level security;
-- No policy: only the service sees buckets, until an app says otherwise.
grant select, delete,
    insert (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types, avif_autodetection, type),
    update (name, owner, owner_id, public, file_size_limit, allowed_mime_types, avif_autodetection)
    on storage.buckets to anon, authenticated;
grant select, insert, update, delete on storage.buckets to service_role, kith_storage;
create trigger touch before update on storage.buckets
    for each row execute function kith.touch();

-- Objects.  Names compare by their bytes, so that the index of the key is also
-- that of a list in order.
create table storage.objects (
    id uuid primary key default gen_random_uuid(),
    bucket_id text collate "C" not null references storage.buckets on delete restrict,
    name text collate "C" not null,
    owner uuid,
    owner_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_accessed_at timestamptz not null default now(),
    metadata jsonb,
    user_metadata jsonb,
    version text,
    path_tokens text[] generated always as (string_to_array(name, '/')) stored,
    -- A list ignores case.  A column, and no index over lower(name): a function
    -- that is not leakproof is no condition of an index beneath a policy.
    lower_name text collate "C" generated always as (lower(name)) stored,
    constraint objects_bucket_id_name_unique unique (bucket_id, name),
    constraint objects_name_key check (
        octet_length(name) between 1 and 1024
        and name ~ '^[A-Za-z0-9_/!.*''() &$=@;:+,?-]+$'
        and name !~ '(^|/)\.{0,2}(/|$)'
    ),
    constraint objects_version_uuid check (version ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
);
create index on storage.objects (bucket_id, lower_name, name);  -- lists
create index on storage.objects (name);  -- the folder of a user, in whatever bucket
create index on storage.objects (owner_id) where owner_id is not null;  -- the files of an account
create unique index on storage.objects (version);  -- a file has one row
comment on table storage.objects is 'The files, by bucket and name.';
comment on column storage.objects.id is 'The object; stays the same when it is overwritten or moved.';
comment on column storage.objects.bucket_id is 'Where it is.';
comment on column storage.objects.name is 'Its name in the bucket, with folders: <user id>/notes/a.webm.';
comment on column storage.objects.owner is 'Who stored it, of older servers.';
comment on column storage.objects.owner_id is 'Who stored it; null for the service.';
comment on column storage.objects.created_at is 'When it was first stored.';
comment on column storage.objects.updated_at is 'When the row last changed.';
comment on column storage.objects.last_accessed_at is 'Kept for dumps: reading does not write.';
comment on column storage.objects.metadata is 'eTag, size, mimetype, cacheControl ...: what the storage program knows of the file.';
comment on column storage.objects.user_metadata is 'What the client said of it.';
comment on column storage.objects.version is 'The file: another one each time the object is overwritten.';
comment on column storage.objects.path_tokens is 'The parts of the name.';
comment on column storage.objects.lower_name is 'The name in lower case, for lists.';
comment on constraint objects_name_key on storage.objects is
    'A name has letters a to z, digits, blanks and _/!.*''()&$=@;:+,?-, and no part of it is empty, . or ..';
comment on constraint objects_version_uuid on storage.objects is 'version is a uuid.';
alter table storage.objects enable row level security, force row level security;

-- What policies ask.  The three about names have their body parsed here and now,
-- so that it means the same whatever the search_path of the caller; with a
-- search_path of their own they could not be put into the statement that asks,
-- which asks for every row.
create function storage.foldername(name text) returns text[]
language sql immutable parallel safe
return (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1];
comment on function storage.foldername(text) is 'The folders of a name: of a/b/c.txt they are {a,b}.';
create function storage.filename(name text) returns text
language sql immutable parallel safe
return split_part(name, '/', -1);
comment on function storage.filename(text) is 'The last part of a name: of a/b/c.txt it is c.txt.';
create function storage.extension(name text) returns text
language sql immutable parallel safe
return split_part(split_part(name, '/', -1), '.', -1);
comment on function storage.extension(text) is 'What is behind the last dot of a name: of a/b/c.txt it is txt.';

create function storage.operation() returns text
language sql stable set search_path = ''
as $$
    select pg_catalog.current_setting('storage.operation', true)
$$;
comment on function storage.operation() is 'What the storage program does just now: storage.object.list ...; null elsewhere.';
create function storage.allow_any_operation(expected_operations text[]) returns boolean
language sql stable set search_path = ''
as $$
    select coalesce(
        pg_catalog.regexp_replace(nullif(storage.operation(), ''), '^storage\.', '') in (
            select pg_catalog.regexp_replace(e, '^storage\.', '') from pg_catalog.unnest(expected_operations) e
        ),
        false
    )
$$;
comment on function storage.allow_any_operation(text[]) is 'Whether the storage program does one of these just now; with or without storage. in front.';
create function storage.allow_only_operation(expected_operation text) returns boolean
language sql stable set search_path = ''
as $$
    select storage.allow_any_operation(array[expected_operation])
$$;
comment on function storage.allow_only_operation(text) is 'Whether the storage program does this just now; with or without storage. in front.';
grant execute on function
    storage.foldername(text), storage.filename(text), storage.extension(text),
    storage.operation(), storage.allow_any_operation(text[]), storage.allow_only_operation(text)
    to anon, authenticated, service_role, kith_storage;

-- The convention: the first folder is the user.  An app that has another drops
-- these four and writes its own.
create policy "owner reads own files" on storage.objects for select to authenticated
    using ((storage.foldername(name))[1] = (select auth.uid())::text);
create policy "owner stores own files" on storage.objects for insert to authenticated
    with check ((storage.foldername(name))[1] = (select auth.uid())::text);
create policy "owner changes own files" on storage.objects for update to authenticated
    using ((storage.foldername(name))[1] = (select auth.uid())::text)
    with check ((storage.foldername(name))[1] = (select auth.uid())::text);
create policy "owner deletes own files" on storage.objects for delete to authenticated
    using ((storage.foldername(name))[1] = (select auth.uid())::text);
-- Nobody but the storage program writes version: whoever could, by a function of
-- an app, would read the file of anybody.
grant select, delete,
    insert (id, bucket_id, name, owner, owner_id, last_accessed_at, metadata, user_metadata),
    update (bucket_id, name, owner, owner_id, last_accessed_at, metadata, user_metadata)
    on storage.objects to anon, authenticated;
grant select, delete,
    insert (id, bucket_id, name, owner, owner_id, created_at, updated_at, last_accessed_at, metadata, user_metadata),
    update (bucket_id, name, owner, owner_id, created_at, updated_at, last_accessed_at, metadata, user_metadata)
    on storage.objects to service_role;
grant select, insert, update, delete on storage.objects to kith_storage;
create trigger touch before update on storage.objects
    for each row execute function kith.touch();

-- As on Supabase, a file is deleted by asking the storage program.
create function storage.protect_delete() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    if coalesce(pg_catalog.current_setting('storage.allow_delete_query', true), '') <> 'true' then
        raise exception using errcode = 'insufficient_privilege',
            message = pg_catalog.format('%I.%I is not deleted from by SQL', tg_table_schema, tg_table_name),
            hint = 'Use the storage API: supabase.storage.from(bucket).remove([name]).';
    end if;
    return null;
end
$$;
comment on function storage.protect_delete() is 'Trigger: refuses DELETE unless storage.allow_delete_query is true.';
create trigger protect_buckets_delete before delete on storage.buckets
    for each statement execute function storage.protect_delete();
create trigger protect_objects_delete before delete on storage.objects
    for each statement execute function storage.protect_delete();

reset role;
