-- Jobs: what waits for the worker.  Whatever calls out, or takes long, is a row
-- here, written in the transaction that causes it: rolled back with it, and not
-- lost after it.  The worker does each once; see claim_jobs for how.

set local role kith_owner;

create table kith.jobs (
    id bigint generated always as identity primary key,
    kind text not null constraint jobs_kind_word check (kind ~ '^[a-z][a-z0-9_]*$'),
    key text not null default gen_random_uuid()::text constraint jobs_key_length check (length(key) between 1 and 200),
    payload jsonb not null default '{}' constraint jobs_payload_object check (jsonb_typeof(payload) = 'object'),
    user_id uuid,
    status text not null default 'pending'
        constraint jobs_status_known check (status in ('pending', 'running', 'done', 'failed')),
    run_at timestamptz not null default now(),
    attempts integer not null default 0 constraint jobs_attempts_positive check (attempts >= 0),
    max_attempts integer not null default 5 constraint jobs_max_attempts_positive check (max_attempts > 0),
    leased_until timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint jobs_key_unique unique (key),
    constraint jobs_leased_while_running check ((leased_until is not null) = (status = 'running')),
    constraint jobs_finished_at_end check ((finished_at is not null) = (status in ('done', 'failed')))
);
-- What can be claimed: a pending job from run_at on, a running one when its lease ran out.
create index jobs_claim on kith.jobs (coalesce(leased_until, run_at), id) where status in ('pending', 'running');
create index on kith.jobs (user_id) where user_id is not null;  -- what waits for an account that goes
create index on kith.jobs (finished_at) where finished_at is not null;  -- sweep

comment on table kith.jobs is 'What waits for the worker, and what became of it.';
comment on column kith.jobs.id is 'The job.';
comment on column kith.jobs.kind is
    'What is to be done.  A kind that begins with delete_ or cancel_ ends something outside of the database, and outlives the account.';
comment on column kith.jobs.key is 'Made with the row and the same at each attempt, so that a provider does it once; of one key there is one job.';
comment on column kith.jobs.payload is 'What the job needs to know; emptied when it is done.';
comment on column kith.jobs.user_id is 'Whose job; no foreign key, since the files of an account are removed after it.';
comment on column kith.jobs.status is 'pending, running, done or failed.';
comment on column kith.jobs.run_at is 'Not before this time.';
comment on column kith.jobs.attempts is 'How often it was claimed; the number of the attempt that holds the lease.';
comment on column kith.jobs.max_attempts is 'Fails for good after that many.';
comment on column kith.jobs.leased_until is 'Belongs to a worker until then; afterwards anybody may claim it.';
comment on column kith.jobs.last_error is 'Why the last attempt failed: status and code, nothing of the payload.';
comment on column kith.jobs.created_at is 'When it was queued.';
comment on column kith.jobs.finished_at is 'When it was done, or given up.';
alter table kith.jobs enable row level security, force row level security;
-- No policy and no grant, not even for the worker: it calls the functions.

create function kith.enqueue(
    kind text,
    payload jsonb default '{}',
    key text default null,
    run_at timestamptz default null,
    user_id uuid default null,
    max_attempts integer default 5
) returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    job bigint;
begin
    -- Again when the job of this key was swept away between the two statements.
    loop
        insert into kith.jobs (kind, payload, key, run_at, user_id, max_attempts)
        values (
            enqueue.kind,
            coalesce(enqueue.payload, '{}'),
            coalesce(enqueue.key, pg_catalog.gen_random_uuid()::text),
            coalesce(enqueue.run_at, pg_catalog.now()),
            enqueue.user_id,
            coalesce(enqueue.max_attempts, 5)
        )
        on conflict (key) do nothing
        returning id into job;
        if found then
            -- Arrives with the commit; equal ones of a transaction arrive as one.
            perform pg_catalog.pg_notify('kith_jobs', enqueue.kind);
            return job;
        end if;
        select j.id into job from kith.jobs j where j.key = enqueue.key;
        if found then
            return job;
        end if;
    end loop;
end
$$;
comment on function kith.enqueue(text, jsonb, text, timestamptz, uuid, integer) is
    'Queues a job with the transaction and returns its id; a key that was used before returns the job of that time.';

-- Claiming.  Each claim is one more attempt, and its number is what finish_job
-- and fail_job ask for: a worker whose lease ran out, and whose job another one
-- took, cannot finish what is no longer its own.
create function kith.claim_jobs(kinds text[], lease interval, n integer) returns setof kith.jobs
language plpgsql volatile security definer set search_path = ''
as $$
begin
    if lease is null or lease <= interval '0' then
        raise exception using errcode = 'invalid_parameter_value', message = 'a lease must last';
    end if;
    -- A job that ends each worker that takes it must end itself.
    update kith.jobs j
    set status = 'failed',
        leased_until = null,
        finished_at = pg_catalog.now(),
        last_error = pg_catalog.concat_ws('; ', j.last_error, 'the lease of the last attempt ran out')
    where j.id in (
        select d.id
        from kith.jobs d
        where d.status = 'running'
            and coalesce(d.leased_until, d.run_at) <= pg_catalog.now()
            and d.attempts >= d.max_attempts
            and d.kind = any (kinds)
        for update skip locked
    );
    return query
        -- Materialized: a join could run the limit, and the locks, more than once.
        with due as materialized (
            select d.id
            from kith.jobs d
            where d.status in ('pending', 'running')
                and coalesce(d.leased_until, d.run_at) <= pg_catalog.now()
                and d.attempts < d.max_attempts
                and d.kind = any (kinds)
            order by coalesce(d.leased_until, d.run_at), d.id
            limit n
            for update skip locked
        )
        update kith.jobs j
        set status = 'running',
            attempts = j.attempts + 1,
            leased_until = pg_catalog.now() + lease
        from due
        where j.id = due.id
        returning j.*;
end
$$;
comment on function kith.claim_jobs(text[], interval, integer) is
    'Takes up to n due jobs of these kinds for the time of the lease; never one that another worker holds.';

create function kith.finish_job(id bigint, attempt integer) returns boolean
language sql volatile security definer set search_path = ''
as $$
    update kith.jobs j
    -- What is done need not be known: a mail may hold a link that signs in.
    set status = 'done', leased_until = null, finished_at = pg_catalog.now(), payload = '{}', last_error = null
    where j.id = finish_job.id and j.status = 'running' and j.attempts = finish_job.attempt
    returning true
$$;
comment on function kith.finish_job(bigint, integer) is
    'Ends a job well.  Null when the job is no longer this attempt''s, or is gone with its user: roll back, and undo what was done outside.';

create function kith.fail_job(
    id bigint,
    attempt integer,
    error text,
    retry_after interval default null,
    final boolean default false
) returns text
language sql volatile security definer set search_path = ''
as $$
    update kith.jobs j
    set status = case when e.over then 'failed' else 'pending' end,
        leased_until = null,
        finished_at = case when e.over then pg_catalog.now() end,
        last_error = coalesce(fail_job.error, 'unknown'),
        run_at = case
            when e.over then j.run_at
            when retry_after is not null then pg_catalog.now() + greatest(retry_after, interval '0')
            -- 0.5, 1, 2 ... 60 seconds, and a fifth more or less, so that what
            -- failed together does not come back together.
            else pg_catalog.now()
                + interval '1 second' * least(60, 0.5 * pg_catalog.power(2, least(j.attempts - 1, 10)))
                * (0.8 + 0.4 * pg_catalog.random())
        end
    from (
        select o.id, fail_job.final or o.attempts >= o.max_attempts as over
        from kith.jobs o
        where o.id = fail_job.id
    ) e
    where j.id = e.id and j.status = 'running' and j.attempts = fail_job.attempt
    returning j.status
$$;
comment on function kith.fail_job(bigint, integer, text, interval, boolean) is
    'Puts a job back for a later attempt, or gives it up: when final, or after max_attempts.  Returns its status; null when it is no longer this attempt''s.';

create function kith.sweep_jobs(age interval) returns bigint
language sql volatile security definer set search_path = ''
as $$
    with gone as (
        delete from kith.jobs j
        where j.finished_at < pg_catalog.now() - age
        returning 1
    )
    select pg_catalog.count(*) from gone
$$;
comment on function kith.sweep_jobs(interval) is 'Forgets jobs that ended longer ago; how many.  Their keys may be used again.';

grant execute on function kith.enqueue(text, jsonb, text, timestamptz, uuid, integer) to kith_auth, kith_storage, kith_worker;
grant execute on function
    kith.claim_jobs(text[], interval, integer),
    kith.finish_job(bigint, integer),
    kith.fail_job(bigint, integer, text, interval, boolean),
    kith.sweep_jobs(interval)
    to kith_worker;
-- The functions of the owner queue for everybody else.

-- Files.  A row that holds the path of a file does so in a column whose name
-- ends in storage_path: bucket/user/..., or user/... in the bucket that is
-- named like the table.  When the row goes, or takes another path, the worker
-- removes the file; it asks unused_files again before it does, because the same
-- path may have been used again meanwhile.
create function kith.file_columns() returns table (relation regclass, column_name name)
language sql stable set search_path = ''
as $$
    select a.attrelid::regclass, a.attname
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where a.attnum > 0
        and not a.attisdropped
        and a.attname like '%storage\_path'
        and c.relkind in ('r', 'p')
        and not c.relispartition
        and n.nspname not in ('kith', 'auth', 'storage', 'extensions', 'information_schema')
        and n.nspname !~ '^pg_'
$$;
comment on function kith.file_columns() is 'The columns that hold paths of files, by the catalogue.';

create function kith.file_path(relation regclass, path text) returns text
language sql stable set search_path = ''
as $$
    select case
        when path ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/'
            then (select c.relname from pg_catalog.pg_class c where c.oid = relation) || '/' || path
        else path
    end
$$;
comment on function kith.file_path(regclass, text) is 'A path of that table, with its bucket in front.';

create function kith.unused_files(paths text[]) returns text[]
language plpgsql stable security definer set search_path = ''
as $$
declare
    unused text[] := paths;
    c record;
begin
    for c in select f.relation, f.column_name from kith.file_columns() f loop
        execute pg_catalog.format(
            'select array(select unnest($1) except select kith.file_path(%L, t.%I) from %s t where t.%2$I = any ($2))',
            c.relation, c.column_name, c.relation
        )
        into unused
        -- As the column may hold them: with the bucket, or without.
        using unused, unused || array(select pg_catalog.regexp_replace(p, '^[^/]*/', '') from pg_catalog.unnest(unused) p);
    end loop;
    return unused;
end
$$;
comment on function kith.unused_files(text[]) is 'Those of the paths, with bucket, that no row of any table refers to.';
grant execute on function kith.unused_files(text[]) to kith_worker;

create function kith.delete_files(user_id uuid, paths text[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
    part text[];
begin
    -- As many as one call to the storage program removes.
    for part in
        select pg_catalog.array_agg(p.path order by p.place)
        from pg_catalog.unnest(paths) with ordinality as p (path, place)
        group by (p.place - 1) / 1000
    loop
        perform kith.enqueue(
            'delete_files',
            -- What was stored later than the row went is another file.
            pg_catalog.jsonb_build_object('paths', part, 'before', pg_catalog.now()),
            user_id => delete_files.user_id,
            max_attempts => 100
        );
    end loop;
end
$$;
comment on function kith.delete_files(uuid, text[]) is 'Queues the removal of files that were stored until now.';

-- Once per statement for rows that go, once per row for a path that changes: a
-- trigger with a condition on the column costs nothing while it stays.
create function kith.release_files() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    released record;
    unused text[];
begin
    if tg_level = 'ROW' then
        if pg_catalog.to_jsonb(old) ->> tg_argv[0] is not null then
            unused := kith.unused_files(array[kith.file_path(tg_relid, pg_catalog.to_jsonb(old) ->> tg_argv[0])]);
            perform kith.delete_files(old.user_id, unused);
        end if;
        return null;
    end if;
    for released in
        select o.user_id, pg_catalog.array_agg(kith.file_path(tg_relid, pg_catalog.to_jsonb(o) ->> tg_argv[0])) as paths
        from old_rows o
        where pg_catalog.to_jsonb(o) ->> tg_argv[0] is not null
            -- The files of an account that goes are queued with it, all at once.
            and exists (select from public.users u where u.id = o.user_id)
        group by 1
    loop
        perform kith.delete_files(released.user_id, kith.unused_files(released.paths));
    end loop;
    return null;
end
$$;
comment on function kith.release_files() is
    'Trigger: queues the removal of the files whose rows went.  Its argument is the column that holds the path.';

reset role;
