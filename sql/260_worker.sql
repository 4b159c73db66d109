-- The worker: what it needs beside claiming, finishing and failing a job
-- (072_jobs.sql), and what is swept.

set local role kith_owner;

-- What is sent is made once and kept before it goes out: a provider that knows
-- the job's key refuses the same key with other words, and a template may have
-- changed since.  It asks, too, whether the job is still this attempt's.
create function kith.keep_job(id bigint, attempt integer, payload jsonb, lease interval) returns boolean
language sql volatile security definer set search_path = ''
as $$
    update kith.jobs j
    set payload = keep_job.payload, leased_until = pg_catalog.now() + lease
    where j.id = keep_job.id and j.status = 'running' and j.attempts = keep_job.attempt
    returning true
$$;
comment on function kith.keep_job(bigint, integer, jsonb, interval) is
    'Another payload for a job in hand, and a new lease.  Null when the job is no longer this attempt''s: leave it.';

-- The number of an attempt is never used again, so one that does not count
-- makes room for one more.
create function kith.postpone_job(id bigint, attempt integer, reason text, delay interval) returns boolean
language sql volatile security definer set search_path = ''
as $$
    update kith.jobs j
    set status = 'pending',
        leased_until = null,
        run_at = pg_catalog.now() + greatest(delay, interval '0'),
        max_attempts = j.max_attempts + 1,
        last_error = coalesce(reason, 'unknown')
    where j.id = postpone_job.id and j.status = 'running' and j.attempts = postpone_job.attempt
    returning true
$$;
comment on function kith.postpone_job(bigint, integer, text, interval) is
    'Puts a job back without counting the attempt: nobody was reached, or asked for patience.  Null when it is no longer this attempt''s.';

create function kith.next_job(kinds text[]) returns double precision
language sql stable security definer set search_path = ''
as $$
    select extract(epoch from pg_catalog.min(coalesce(j.leased_until, j.run_at)) - pg_catalog.clock_timestamp())
    from kith.jobs j
    where j.status in ('pending', 'running') and j.kind = any (kinds)
$$;
comment on function kith.next_job(text[]) is 'In how many seconds a job of these kinds can be claimed; null when there is none.';

-- Messages of one channel: who sends mail need not know Telegram.
drop function kith.claim_messages(integer, interval);
create function kith.claim_messages(how_many integer, lease interval, channels text[] default '{email,telegram}')
returns table (
    id uuid, attempt integer, user_id uuid, workspace_id uuid, channel text, message_type text, subject text, content jsonb,
    email text, telegram_chat_id bigint
)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    claimed record;
begin
    -- Both rows are locked, so both are looked at again as they are by then: of
    -- two workers one has the message.  Nobody waits for a lock here.
    for claimed in
        select m.id, m.channel, o.posted_at
        from kith.outbox o
        join public.scheduled_messages m on m.id = o.message_id
        where o.due_at <= pg_catalog.now() and m.channel = any (channels)
        order by o.due_at
        limit how_many
        for update of m, o skip locked
    loop
        -- An hour less than the day for which the provider knows the key.
        if claimed.posted_at is not null
            and (claimed.channel <> 'email' or claimed.posted_at < pg_catalog.now() - interval '23 hours')
        then
            update public.scheduled_messages m set status = 'failed', failure_reason = 'unknown' where m.id = claimed.id;
            continue;
        end if;
        update public.scheduled_messages m set status = 'sending', attempts = m.attempts + 1 where m.id = claimed.id;
        update kith.outbox o set due_at = pg_catalog.now() + lease where o.message_id = claimed.id;
        return query
            select m.id, m.attempts, m.user_id, m.workspace_id, m.channel, m.message_type, m.subject, m.content,
                coalesce(m.recipient_email, u.email), u.telegram_chat_id
            from public.scheduled_messages m
            join public.users u on u.id = m.user_id
            where m.id = claimed.id;
    end loop;
end
$$;
comment on function kith.claim_messages(integer, interval, text[]) is
    'Takes messages of these channels that are due, for as long as the lease.';

create function kith.next_message(channels text[]) returns double precision
language sql stable security definer set search_path = ''
as $$
    select extract(epoch from o.due_at - pg_catalog.clock_timestamp())
    from kith.outbox o
    join public.scheduled_messages m on m.id = o.message_id
    where m.channel = any (channels)
    order by o.due_at
    limit 1
$$;
comment on function kith.next_message(text[]) is 'In how many seconds a message of these channels can be claimed; null when there is none.';

create function kith.announce_messages() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('kith_jobs', 'message');
    return null;
end
$$;
comment on function kith.announce_messages() is 'Trigger: wakes the worker, which may sleep until a later time.';
create trigger announce after insert on kith.outbox
    for each statement execute function kith.announce_messages();
create trigger announce_earlier after update on kith.outbox
    for each row when (new.due_at < old.due_at) execute function kith.announce_messages();

-- What nobody will ask for any more, some at a time so that nobody waits for it.
create function kith.sweep(batch integer default 1000) returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
    swept bigint := kith.sweep_jobs(interval '30 days');
    n bigint;
begin
    delete from kith.rate_limits r
    where r.key in (select x.key from kith.rate_limits x where x.ends_at < pg_catalog.now() limit batch for update skip locked);
    get diagnostics n = row_count;
    swept := swept + n;
    delete from auth.one_time_tokens t
    where t.id in (
        select x.id
        from auth.one_time_tokens x
        where coalesce(x.expires_at, x.updated_at at time zone 'UTC' + interval '1 day') < pg_catalog.now() - interval '1 day'
        limit batch
        for update skip locked
    );
    get diagnostics n = row_count;
    swept := swept + n;
    delete from auth.flow_state f
    where f.id in (
        select x.id
        from auth.flow_state x
        where x.created_at < pg_catalog.now() - interval '1 day'
        limit batch
        for update skip locked
    );
    get diagnostics n = row_count;
    swept := swept + n;
    delete from auth.refresh_tokens t
    where t.id in (
        select x.id
        from auth.refresh_tokens x
        where x.revoked
            and x.updated_at < pg_catalog.now() - interval '1 day'
            -- Whoever still holds it may be given the one that followed.
            and not exists (select from auth.refresh_tokens y where y.parent = x.token and not y.revoked)
        limit batch
        for update skip locked
    );
    get diagnostics n = row_count;
    return swept + n;
end
$$;
comment on function kith.sweep(integer) is
    'Forgets jobs that ended a month ago, limits that are over, and tokens that are good for nothing; how many rows.';

grant execute on function
    kith.keep_job(bigint, integer, jsonb, interval),
    kith.postpone_job(bigint, integer, text, interval),
    kith.next_job(text[]),
    kith.claim_messages(integer, interval, text[]),
    kith.next_message(text[]),
    kith.sweep(integer)
    to kith_worker;

reset role;
