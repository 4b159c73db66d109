-- Resumable uploads (TUS 1.0.0): files that arrive in pieces.  What has arrived
-- is in a file of the storage program's, under tmp/; a row here tells whose it
-- is, what it is to become, and how much of it counts.

set local role kith_owner;

create table kith.uploads (
    id uuid primary key,
    caller text not null constraint uploads_caller_known check (caller in ('anon', 'authenticated', 'service_role', 'signed')),
    owner uuid,
    bucket text collate "C" not null references storage.buckets on delete cascade,
    name text collate "C" not null,
    length bigint not null constraint uploads_length_positive check (length >= 0),
    received bigint not null default 0,
    upsert boolean not null,
    announced text not null constraint uploads_announced_length check (length(announced) <= 16384),
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    -- Before the worker takes a file without a row for one that a crash has left.
    expires_at timestamptz not null default now() + interval '1 hour',
    constraint uploads_received_part check (received between 0 and length),
    constraint uploads_received_whole check (finished_at is null or received = length)
);
create index on kith.uploads (bucket);  -- foreign key
create index on kith.uploads (owner) where owner is not null;  -- how many are open
create index on kith.uploads (expires_at);  -- sweep
comment on table kith.uploads is 'Resumable uploads that are under way, or have just ended.';
comment on column kith.uploads.id is 'The upload, and the name of its file: the version of the object that it becomes.';
comment on column kith.uploads.caller is 'Who may go on with it: that role, or signed for whoever has the signed URL.';
comment on column kith.uploads.owner is 'Which user of that role, or who signed the URL; null for none.';
comment on column kith.uploads.bucket is 'Where the object will be.';
comment on column kith.uploads.name is 'Its name there.';
comment on column kith.uploads.length is 'Its bytes, as announced.';
comment on column kith.uploads.received is 'How many of them are there, durably.';
comment on column kith.uploads.upsert is 'Whether an object of that name may be overwritten.';
comment on column kith.uploads.announced is 'What the client said of it: Upload-Metadata, as it was sent.';
comment on column kith.uploads.finished_at is 'When it became an object; null until then.';
comment on column kith.uploads.created_at is 'When it was begun.';
comment on column kith.uploads.expires_at is 'Until then it can be gone on with, and its end be asked for.';
alter table kith.uploads enable row level security, force row level security;
-- No policy and no grant: the storage program calls the functions.

create function kith.http_date(at timestamptz) returns text
language sql stable set search_path = ''
as $$
    select pg_catalog.to_char(at at time zone 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS "GMT"')
$$;
comment on function kith.http_date(timestamptz) is 'A time as HTTP writes it (RFC 9110, section 5.6.7).';

-- Of a user's uploads at once each sees the others: the sum of what is open must
-- fit, though most of it has not arrived.
create function kith.create_upload(
    id uuid,
    caller text,
    owner uuid,
    bucket text,
    name text,
    length bigint,
    upsert boolean,
    announced text
) returns text
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    under_way record;
    expires text;
begin
    delete from kith.uploads u
    using (select e.id from kith.uploads e where e.expires_at < pg_catalog.now() limit 100 for update skip locked) expired
    where u.id = expired.id;
    if create_upload.owner is not null then
        perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('uploads ' || create_upload.owner, 0));
        select pg_catalog.count(*) as uploads, coalesce(sum(u.length), 0)::bigint as bytes into under_way
        from kith.uploads u
        where u.owner = create_upload.owner and u.finished_at is null and u.expires_at > pg_catalog.now();
        if under_way.uploads >= 100 then
            raise exception using errcode = 'PT403', detail = 'QuotaExceeded',
                message = 'there are 100 uploads under way',
                hint = 'Finish or delete one of them; each is forgotten an hour after it was begun.';
        end if;
        if under_way.bytes > 0 then
            perform kith.check_quota(create_upload.owner, under_way.bytes + create_upload.length);
        end if;
    end if;
    insert into kith.uploads (id, caller, owner, bucket, name, length, upsert, announced)
    values (create_upload.id, create_upload.caller, create_upload.owner, create_upload.bucket, create_upload.name,
        create_upload.length, create_upload.upsert, create_upload.announced)
    returning kith.http_date(expires_at) into expires;
    return expires;
end
$$;
comment on function kith.create_upload(uuid, text, uuid, text, text, bigint, boolean, text) is
    'Begins an upload; until when it can be gone on with.';

-- A session that has ended finds nothing: PT401 as everywhere.  Of a signed URL
-- the token tells the owner, but names the file too: the program compares both.
create function kith.find_upload(upload_id uuid, caller text, caller_id uuid, session uuid) returns table (
    owner uuid,
    bucket text,
    name text,
    length bigint,
    received bigint,
    upsert boolean,
    announced text,
    finished boolean,
    expires text
)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
begin
    if find_upload.session is not null then
        perform kith.check_session(find_upload.session, find_upload.caller_id);
    end if;
    return query
    select u.owner, u.bucket, u.name, u.length, u.received, u.upsert, u.announced, u.finished_at is not null,
        kith.http_date(u.expires_at)
    from kith.uploads u
    where u.id = find_upload.upload_id
        and u.caller = find_upload.caller
        and (u.caller = 'signed' or u.owner is not distinct from find_upload.caller_id)
        and u.expires_at > pg_catalog.now();
end
$$;
comment on function kith.find_upload(uuid, text, uuid, uuid) is 'An upload of this caller, whose session is alive; none when there is no such.';

create function kith.advance_upload(id uuid, received bigint) returns boolean
language sql volatile security definer set search_path = ''
as $$
    update kith.uploads u
    set received = advance_upload.received
    where u.id = advance_upload.id and u.finished_at is null and u.received <= advance_upload.received
    returning true
$$;
comment on function kith.advance_upload(uuid, bigint) is 'Notes how much of an upload is durable; null when it has ended.';

-- Object and end in one transaction: a client that did not hear of its end asks,
-- and is told.
create function kith.finish_upload(
    id uuid, bucket text, key text, owner text, metadata jsonb, user_metadata jsonb, replaces uuid, upsert boolean
) returns setof storage.objects
language plpgsql volatile security definer set search_path = ''
as $$
begin
    update kith.uploads u
    set received = u.length, finished_at = pg_catalog.now()
    where u.id = finish_upload.id and u.finished_at is null;
    if not found then
        raise exception using errcode = 'PT404', message = 'Upload not found', detail = 'NoSuchUpload';
    end if;
    return query
        select * from kith.store_object(finish_upload.bucket, finish_upload.key, finish_upload.id::text, finish_upload.owner,
            finish_upload.metadata, finish_upload.user_metadata, finish_upload.replaces, finish_upload.upsert);
end
$$;
comment on function kith.finish_upload(uuid, text, text, text, jsonb, jsonb, uuid, boolean) is
    'Makes an upload that is whole an object: kith.store_object() and the end of the upload.';

create function kith.end_upload(id uuid) returns boolean
language sql volatile security definer set search_path = ''
as $$
    delete from kith.uploads u where u.id = end_upload.id returning true
$$;
comment on function kith.end_upload(uuid) is 'Forgets an upload; null when there is no such.';

grant execute on function
    kith.create_upload(uuid, text, uuid, text, text, bigint, boolean, text),
    kith.find_upload(uuid, text, uuid, uuid),
    kith.advance_upload(uuid, bigint),
    kith.finish_upload(uuid, text, text, text, jsonb, jsonb, uuid, boolean),
    kith.end_upload(uuid)
    to kith_storage;

reset role;
