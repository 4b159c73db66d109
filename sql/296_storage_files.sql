-- Files on the disk, as the rows tell of them.  A file is written before its row
-- and removed after it: what readers have begun to read stays for a while.

set local role kith_owner;

create table kith.released_files (
    version text primary key,
    user_id uuid references auth.users on delete set null,
    size bigint not null default 0 constraint released_files_size_positive check (size >= 0),
    released_at timestamptz not null default now()
);
create index on kith.released_files (released_at);  -- sweep
create index on kith.released_files (user_id) include (size) where user_id is not null;  -- foreign key, and the sum
comment on table kith.released_files is 'Files that no object has any more; the worker removes them after a time of grace.';
comment on column kith.released_files.version is 'Name of the file.';
comment on column kith.released_files.user_id is 'Whose file it was; null for the service, and once they are gone.';
comment on column kith.released_files.size is 'Its bytes, which are still on the disk.';
comment on column kith.released_files.released_at is 'When its object was overwritten or deleted.';
alter table kith.released_files enable row level security, force row level security;
-- No policy and no grant: the worker calls the functions.

-- What was given back is on the disk for a while: whoever overwrites again and
-- again would fill it, so that may be as much as the plan allows (100 MB where it
-- allows less), and no more.
create function kith.check_released(user_id uuid, more bigint) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
    if (select sum(r.size) from kith.released_files r where r.user_id = check_released.user_id) + more
        > greatest(100000000, kith.plan_limit(check_released.user_id, 'storage_bytes'))
        and kith.plan_limit(check_released.user_id, 'storage_bytes') is not null
    then
        raise exception using errcode = 'PT403',
            message = 'Storage quota exceeded: files that were overwritten or deleted still take up room',
            detail = 'QuotaExceeded',
            hint = 'They are removed in a minute or two: try again then.';
    end if;
end
$$;
comment on function kith.check_released(uuid, bigint) is
    'Refuses with PT403 when the files that a user let go, and so many bytes more, are above the limit of the plan.';

-- Whoever deletes or overwrites: the program as the caller, an administrator, a
-- cascade.  Whoever stores more than the plan allows is refused here, when the
-- sum is locked and the file can still be forgotten.
create function kith.keep_version() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    replaced kith.stored_files;
    stored kith.stored_files;
begin
    if tg_op = 'UPDATE' and old.version is not null then
        delete from kith.stored_files f where f.version = old.version returning * into replaced;
        insert into kith.released_files (version, user_id, size)
        values (old.version, replaced.user_id, coalesce(replaced.size, 0))
        on conflict do nothing;
    end if;
    if new.version is not null then
        insert into kith.stored_files (version, user_id, size)
        select new.version,
            (
                select u.id from auth.users u
                where u.id = case
                    when new.owner_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then new.owner_id::uuid
                end
            ),
            coalesce((new.metadata ->> 'size')::bigint, 0)
        returning * into stored;
        -- Who is above the limit may still store less than before.
        if stored.user_id is not null
            and stored.size > (case when replaced.user_id = stored.user_id then replaced.size else 0 end)
        then
            perform kith.check_quota(stored.user_id, 0);
        end if;
        if stored.user_id is not null then
            perform kith.check_released(stored.user_id, 0);
        end if;
    end if;
    return null;
end
$$;
comment on function kith.keep_version() is 'Trigger: notes the file of an object, and lets the one before go.';
create trigger keep_new_version after insert on storage.objects
    for each row when (new.version is not null)
    execute function kith.keep_version();
create trigger keep_version after update of version on storage.objects
    for each row when (old.version is distinct from new.version)
    execute function kith.keep_version();

create function kith.release_versions() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    with gone as (
        delete from kith.stored_files f using old_rows o where f.version = o.version returning f.version, f.user_id, f.size
    )
    insert into kith.released_files (version, user_id, size)
    select o.version, g.user_id, coalesce(g.size, 0)
    from old_rows o
    left join gone g using (version)
    where o.version is not null
    on conflict do nothing;
    return null;
end
$$;
comment on function kith.release_versions() is 'Trigger: lets the files of objects go that were deleted.';
create trigger release_versions after delete on storage.objects
    referencing old table as old_rows
    for each statement execute function kith.release_versions();

-- With the account go its files.  Their paths are queued by kith.erase_user(),
-- which comes first by its name: that job removes what else rows named.
create function kith.erase_user_objects() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform pg_catalog.set_config('storage.allow_delete_query', 'true', true);
    delete from storage.objects o
    where o.owner_id = old.id::text
        or o.name >= old.id::text || '/' and o.name < old.id::text || '0';
    perform pg_catalog.set_config('storage.allow_delete_query', '', true);
    return old;
end
$$;
comment on function kith.erase_user_objects() is 'Trigger: with a user go the objects that are theirs by owner, or by folder.';
create trigger erase_user_objects before delete on auth.users
    for each row execute function kith.erase_user_objects();

-- For the worker.  Paths have the bucket in front.
create function kith.delete_stored_files(paths text[], before timestamptz) returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
    deleted bigint;
begin
    perform pg_catalog.set_config('storage.allow_delete_query', 'true', true);
    delete from storage.objects o
    using pg_catalog.unnest(paths) p (path)
    where o.bucket_id = pg_catalog.split_part(p.path, '/', 1)
        and o.name = pg_catalog.substr(p.path, pg_catalog.strpos(p.path, '/') + 1)
        and coalesce((select f.stored_at from kith.stored_files f where f.version = o.version), o.created_at) <= before;
    get diagnostics deleted = row_count;
    perform pg_catalog.set_config('storage.allow_delete_query', '', true);
    return deleted;
end
$$;
comment on function kith.delete_stored_files(text[], timestamptz) is
    'Deletes the objects at these paths, but for those that were stored later than that; how many.';

create function kith.expired_files(grace interval, n integer) returns setof text
language sql stable security definer set search_path = ''
as $$
    select r.version from kith.released_files r
    where r.released_at < pg_catalog.now() - grace
    order by r.released_at
    limit n
$$;
comment on function kith.expired_files(interval, integer) is 'Files that were let go longer ago, the oldest first.';

create function kith.forget_files(versions text[]) returns bigint
language sql volatile security definer set search_path = ''
as $$
    with gone as (
        delete from kith.released_files r where r.version = any (versions) returning 1
    )
    select pg_catalog.count(*) from gone
$$;
comment on function kith.forget_files(text[]) is 'Forgets files that were let go, and are removed; how many.';

create function kith.unknown_files(versions text[]) returns setof text
language sql stable security definer set search_path = ''
as $$
    select v from pg_catalog.unnest(versions) v
    where not exists (select from storage.objects o where o.version = v)
        and not exists (select from kith.released_files r where r.version = v)
$$;
comment on function kith.unknown_files(text[]) is 'Those of the files that no row tells of: their programs ended before they were stored.';
grant execute on function
    kith.delete_stored_files(text[], timestamptz),
    kith.expired_files(interval, integer),
    kith.forget_files(text[]),
    kith.unknown_files(text[])
    to kith_worker;

-- Before the bytes are taken, where their number is known: what is overwritten
-- is given back.
create function kith.check_upload(bucket text, key text, owner uuid, bytes bigint) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
    if check_upload.owner is not null then
        perform kith.check_quota(check_upload.owner, check_upload.bytes - coalesce((
            select f.size
            from storage.objects o
            join kith.stored_files f on f.version = o.version
            where o.bucket_id = check_upload.bucket and o.name = check_upload.key and f.user_id = check_upload.owner
        ), 0));
        perform kith.check_released(check_upload.owner, 0);
    end if;
end
$$;
comment on function kith.check_upload(text, text, uuid, bigint) is
    'Refuses an upload of so many bytes that the plan of its owner does not allow.';
grant execute on function kith.check_upload(text, text, uuid, bigint) to kith_storage;

-- What an app shows: 12 of 100 MB.
create function public.storage_usage() returns table (bytes bigint, allowed bigint)
language sql stable security definer set search_path = ''
as $$
    select coalesce((select s.bytes from kith.storage_usage s where s.user_id = u.id), 0), kith.plan_limit(u.id, 'storage_bytes')
    from public.users u
    where u.id = (select auth.uid())
$$;
comment on function public.storage_usage() is
    'How many bytes of files the caller has stored, and how many the plan allows; null is no limit.';
grant execute on function public.storage_usage() to authenticated;

-- Buckets of the setting KITH_BUCKETS.
create function kith.make_buckets(list text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    given text[];
    option text;
    bucket storage.buckets;
begin
    for given in
        select pg_catalog.regexp_match(b, '^([A-Za-z0-9_.-]{1,100})(?:\(([^()]*)\))?$')
        from pg_catalog.regexp_split_to_table(pg_catalog.btrim(list), '\s+') b
        where b <> ''
    loop
        if given is null then
            raise exception using errcode = 'invalid_parameter_value', message = 'KITH_BUCKETS cannot be understood',
                hint = 'Names with blanks between, each with options: documents(50MB) avatars(public,5MB,image/*)';
        end if;
        bucket.id := given[1];
        bucket.public := false;
        bucket.file_size_limit := null;
        bucket.allowed_mime_types := null;
        for option in select o from pg_catalog.regexp_split_to_table(coalesce(given[2], ''), ',') o where o <> '' loop
            if option = 'public' then
                bucket.public := true;
            elsif option ~ '^[0-9]{1,9}[KMG]?B$' then
                bucket.file_size_limit := pg_catalog.substring(option, '^[0-9]+')::bigint * case pg_catalog.right(option, 2)
                    when 'KB' then 1000 when 'MB' then 1000000 when 'GB' then 1000000000 else 1 end;
            elsif option ~ '^[a-z]+/[a-z0-9.+*-]+$' then
                bucket.allowed_mime_types := bucket.allowed_mime_types || option;
            else
                raise exception using errcode = 'invalid_parameter_value',
                    message = pg_catalog.format('KITH_BUCKETS: "%s" is no option of a bucket', option),
                    hint = 'There are public, a size such as 5MB, and kinds such as image/*.';
            end if;
        end loop;
        insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
        values (bucket.id, bucket.id, bucket.public, bucket.file_size_limit, bucket.allowed_mime_types)
        on conflict do nothing;
    end loop;
end
$$;
comment on function kith.make_buckets(text) is 'Makes the buckets that are listed and not there; what is there stays as it is.';

reset role;
