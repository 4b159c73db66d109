-- How much of storage a user has: each file that is kept, and for each user the
-- sum.  Kept beside storage.objects, whose columns an app may let a client
-- change; here only the storage program and triggers write.

set local role kith_owner;

create table kith.stored_files (
    version text primary key,
    user_id uuid references auth.users on delete cascade,
    size bigint not null constraint stored_files_size_positive check (size >= 0),
    stored_at timestamptz not null default now()
);
create index on kith.stored_files (user_id) where user_id is not null;  -- foreign key
comment on table kith.stored_files is 'The files of storage.objects, one row each.';
comment on column kith.stored_files.version is 'Name of the file: the version of its object.';
comment on column kith.stored_files.user_id is 'Who stored it, and has so much less left; null for the service.';
comment on column kith.stored_files.size is 'Its bytes.';
comment on column kith.stored_files.stored_at is 'When.';
alter table kith.stored_files enable row level security, force row level security;
-- No policy and no grant.

create table kith.storage_usage (
    user_id uuid primary key references auth.users on delete cascade,
    bytes bigint not null default 0 constraint storage_usage_bytes_positive check (bytes >= 0),
    updated_at timestamptz not null default now()
);
comment on table kith.storage_usage is 'How many bytes each user has stored; the sum of kith.stored_files.';
comment on column kith.storage_usage.user_id is 'Whose files.';
comment on column kith.storage_usage.bytes is 'Together.';
comment on column kith.storage_usage.updated_at is 'When that last changed.';
alter table kith.storage_usage enable row level security, force row level security;
-- No policy and no grant.

-- In the order of users: two that change the same ones do not wait for each other.
create function kith.count_stored() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    change record;
begin
    for change in
        select f.user_id, case tg_op when 'INSERT' then sum(f.size) else -sum(f.size) end as bytes
        from changed f
        where f.user_id is not null
        group by f.user_id
        order by f.user_id
    loop
        -- Of a user who goes, nothing is counted any more.
        insert into kith.storage_usage as u (user_id, bytes)
        select a.id, greatest(change.bytes, 0) from auth.users a where a.id = change.user_id
        on conflict (user_id) do update
        set bytes = u.bytes + change.bytes, updated_at = pg_catalog.now();
    end loop;
    return null;
end
$$;
comment on function kith.count_stored() is 'Trigger: keeps the sum of each user.';
create trigger count_stored after insert on kith.stored_files
    referencing new table as changed
    for each statement execute function kith.count_stored();
create trigger count_deleted after delete on kith.stored_files
    referencing old table as changed
    for each statement execute function kith.count_stored();

-- The row of the sum is locked by whoever has just added to it: of uploads at
-- once each sees what the others have stored.
create function kith.check_quota(user_id uuid, more bigint) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
    allowed constant bigint := kith.plan_limit(check_quota.user_id, 'storage_bytes');
    used constant bigint := coalesce((select u.bytes from kith.storage_usage u where u.user_id = check_quota.user_id), 0);
begin
    if used + more > allowed then
        raise exception using errcode = 'PT403',
            message = pg_catalog.format('Storage quota exceeded: the plan allows %s, and %s more would be too much',
                pg_catalog.pg_size_pretty(allowed), pg_catalog.pg_size_pretty(used + more - allowed)),
            detail = 'QuotaExceeded',
            hint = coalesce(
                (
                    select case
                        when p.limits ? 'storage_bytes' then pg_catalog.format('The plan %s allows %s.', p.id,
                            pg_catalog.pg_size_pretty((p.limits ->> 'storage_bytes')::bigint))
                        else pg_catalog.format('The plan %s has no limit.', p.id)
                    end
                    from public.plans p
                    where coalesce((p.limits ->> 'storage_bytes')::bigint >= used + more, true)
                    order by (p.limits ->> 'storage_bytes')::bigint nulls last, p.id
                    limit 1
                ),
                'Remove files that are not needed.'
            );
    end if;
end
$$;
comment on function kith.check_quota(uuid, bigint) is 'Refuses with PT403 when a user''s files, and so many bytes more, are above the limit of the plan.';

reset role;
