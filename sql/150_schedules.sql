-- Scheduled messages: what is to be sent later, by Telegram or mail, and what
-- became of the mail.

set local role kith_owner;

-- A user schedules messages to themselves; the app schedules them too, for the
-- user or for a workspace.  While it is pending, a message is the user's to
-- change and to delete, which is how one cancels it; what was tried after that
-- stays as a record.
create table public.scheduled_messages (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    workspace_id uuid references public.workspaces on delete set null,
    channel text not null constraint scheduled_messages_channel_known check (channel in ('telegram', 'email')),
    scheduled_for timestamptz not null,
    message_type text not null default 'message'
        constraint scheduled_messages_message_type_length check (length(message_type) between 1 and 100),
    subject text constraint scheduled_messages_subject_length check (length(subject) <= 500),
    content jsonb not null default '{}',
    recipient_email text constraint scheduled_messages_recipient_email_length check (length(recipient_email) between 3 and 255),
    status text not null default 'pending'
        constraint scheduled_messages_status_known check (status in ('pending', 'sending', 'sent', 'failed', 'canceled')),
    attempts integer not null default 0 constraint scheduled_messages_attempts_positive check (attempts >= 0),
    sent_at timestamptz,
    failure_reason text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index on public.scheduled_messages (user_id, scheduled_for desc);  -- policy, foreign key, newest first
create index on public.scheduled_messages (user_id, status);
create index on public.scheduled_messages (workspace_id) where workspace_id is not null;  -- foreign key

comment on table public.scheduled_messages is
    'A message to be sent later.  A pending one can be changed, and canceled by deleting it.';
comment on column public.scheduled_messages.id is 'The message.';
comment on column public.scheduled_messages.user_id is 'Whom it is for; the owner, if it is a workspace''s.';
comment on column public.scheduled_messages.workspace_id is 'Workspace it is about; null is none, or one that is gone.';
comment on column public.scheduled_messages.channel is 'telegram or email.';
comment on column public.scheduled_messages.scheduled_for is 'When to send it.';
comment on column public.scheduled_messages.message_type is 'Kind of message, a word of the app.';
comment on column public.scheduled_messages.subject is 'Subject of the mail.';
comment on column public.scheduled_messages.content is 'What it says.';
comment on column public.scheduled_messages.recipient_email is
    'Address the mail goes to; null is the user''s own, and users can name no other.';
comment on column public.scheduled_messages.status is
    'pending, sending, sent, failed or canceled; kept by the server.';
comment on column public.scheduled_messages.attempts is 'How often sending was tried; kept by the server.';
comment on column public.scheduled_messages.sent_at is 'When it was sent.';
comment on column public.scheduled_messages.failure_reason is
    'Why it was not sent.  "unknown": it may have been, and sending it twice would be worse.';
comment on column public.scheduled_messages.created_at is 'When it was made.';
comment on column public.scheduled_messages.updated_at is 'When the row last changed.';

alter table public.scheduled_messages enable row level security, force row level security;
create policy "user reads own scheduled messages" on public.scheduled_messages for select to authenticated
    using (user_id = (select auth.uid()));
-- Mail leaves in the name of the server: a user who could write to anybody
-- would make it a sender of spam.
create policy "user schedules messages to themselves" on public.scheduled_messages for insert to authenticated
    with check (
        user_id = (select auth.uid())
        and (
            workspace_id is null
            or (select auth.uid()) = (select w.owner_id from public.workspaces w where w.id = workspace_id)
        )
        and (
            recipient_email is null
            or lower(recipient_email) = (select lower(u.email) from public.users u where u.id = user_id)
        )
    );
create policy "user changes own pending messages" on public.scheduled_messages for update to authenticated
    using (user_id = (select auth.uid()) and status = 'pending')
    with check (
        user_id = (select auth.uid())
        and (
            workspace_id is null
            or (select auth.uid()) = (select w.owner_id from public.workspaces w where w.id = workspace_id)
        )
        and (
            recipient_email is null
            or lower(recipient_email) = (select lower(u.email) from public.users u where u.id = user_id)
        )
    );
create policy "user deletes own pending messages" on public.scheduled_messages for delete to authenticated
    using (user_id = (select auth.uid()) and status = 'pending');
grant select, delete,
    insert (id, user_id, workspace_id, channel, scheduled_for, message_type, subject, content, recipient_email,
        created_at, updated_at),
    update (user_id, workspace_id, channel, scheduled_for, message_type, subject, content, recipient_email, updated_at)
    on public.scheduled_messages to authenticated;
-- No grant to anon.

create trigger touch before update on public.scheduled_messages
    for each row execute function kith.touch();

-- For tables whose rows may belong to a workspace: its owner is the user.
-- With the rights of who writes: a workspace that row-level security hides has
-- no owner here, and the policy then refuses the row.
create function kith.follow_workspace_owner() returns trigger
language plpgsql volatile security invoker set search_path = ''
as $$
declare
    owner uuid := (select w.owner_id from public.workspaces w where w.id = new.workspace_id);
begin
    if new.user_id is null then
        if owner is null then
            raise exception using errcode = 'foreign_key_violation',
                message = pg_catalog.format('workspace "%s" not found', new.workspace_id);
        end if;
        new.user_id := owner;
    elsif new.user_id <> owner then
        raise exception using errcode = 'insufficient_privilege',
            message = 'the workspace belongs to another user',
            hint = 'Leave out user_id: it is the owner of the workspace.';
    end if;
    return new;
end
$$;
comment on function kith.follow_workspace_owner() is 'Trigger: what belongs to a workspace is its owner''s.';
create trigger follow_workspace_owner before insert or update of user_id, workspace_id on public.scheduled_messages
    for each row when (new.workspace_id is not null) execute function kith.follow_workspace_owner();

-- What is being sent cannot be called back; what is pending can.
create function kith.cancel_workspace_messages() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    update public.scheduled_messages m
    set status = 'canceled', failure_reason = 'the workspace was deleted'
    where m.workspace_id = old.id
        and m.status = 'pending'
        -- If the user goes, so do the messages.
        and exists (select from public.users u where u.id = m.user_id);
    return old;
end
$$;
comment on function kith.cancel_workspace_messages() is 'Trigger: a workspace that goes takes its pending messages back.';
create trigger cancel_messages before delete on public.workspaces
    for each row execute function kith.cancel_workspace_messages();

-- Delivery of mail.
create table public.email_delivery_log (
    id uuid primary key default gen_random_uuid(),
    scheduled_message_id uuid not null references public.scheduled_messages on delete cascade,
    recipient text not null,
    subject text,
    provider text not null default 'resend',
    provider_message_id text,
    status text not null default 'queued'
        constraint email_delivery_log_status_known check (
            status in ('queued', 'scheduled', 'sent', 'delayed', 'delivered', 'opened', 'clicked', 'failed', 'bounced',
                'suppressed', 'complained')
        ),
    status_updated_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    constraint email_delivery_log_provider_message_id_key unique (provider_message_id, provider)
);
create index on public.email_delivery_log (scheduled_message_id, created_at desc);  -- policy and foreign key

comment on table public.email_delivery_log is 'What the mail provider told about a message.';
comment on column public.email_delivery_log.id is 'The delivery; tells the provider a repeated request by it.';
comment on column public.email_delivery_log.scheduled_message_id is 'Message that was sent; its owner may read this.';
comment on column public.email_delivery_log.recipient is 'Address it went to.';
comment on column public.email_delivery_log.subject is 'Its subject.';
comment on column public.email_delivery_log.provider is 'Who carries the mail: resend, smtp ...';
comment on column public.email_delivery_log.provider_message_id is 'What the provider calls it.';
comment on column public.email_delivery_log.status is
    'queued, scheduled, sent, delayed, delivered, opened, clicked, failed, bounced, suppressed or complained.';
comment on column public.email_delivery_log.status_updated_at is 'When the status became so.';
comment on column public.email_delivery_log.created_at is 'When sending began.';

alter table public.email_delivery_log enable row level security, force row level security;
create policy "message owner reads delivery" on public.email_delivery_log for select to authenticated
    using (exists (
        select from public.scheduled_messages m where m.id = scheduled_message_id and m.user_id = (select auth.uid())
    ));
grant select on public.email_delivery_log to authenticated;
-- No writing by users.  No grant to anon.

-- News of a mail comes out of order and twice, also before the answer of the
-- provider is known here.  The status only goes up, whoever brings it: hence
-- the trigger has the owner's rights, since email_rank is nobody else's.
create function kith.email_rank(status text) returns integer
language sql immutable strict parallel safe set search_path = ''
as $$
    select case status
        when 'queued' then -1
        when 'scheduled' then 0
        when 'sent' then 1
        when 'delayed' then 2
        when 'delivered' then 3
        when 'opened' then 4
        when 'clicked' then 5
        when 'failed' then 6
        when 'bounced' then 6
        when 'suppressed' then 6
        when 'complained' then 7
    end
$$;
comment on function kith.email_rank(text) is 'How far a mail has come; of two statuses the higher is later.';

create function kith.keep_email_status() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    difference integer := kith.email_rank(new.status) - kith.email_rank(old.status);
begin
    if difference < 0 or difference = 0 and new.status_updated_at < old.status_updated_at then
        new.status := old.status;
        new.status_updated_at := old.status_updated_at;
    elsif new.status <> old.status and new.status_updated_at = old.status_updated_at then
        new.status_updated_at := pg_catalog.now();
    end if;
    return new;
end
$$;
comment on function kith.keep_email_status() is 'Trigger: older news of a mail changes nothing.';
create trigger keep_email_status before update of status, status_updated_at on public.email_delivery_log
    for each row execute function kith.keep_email_status();

-- Sending.  A row of the outbox for every message that is pending or sending.
-- It is apart from the message because every client sees all columns of that.
--
-- The worker claims what is due and commits; finds the words; calls
-- post_message, which stores them and says that the request goes out, and
-- commits; sends; and calls finish_message.  Each call names the attempt: who
-- took so long that another took over finds nothing to change.  When a worker
-- dies its claim ends, and the next one goes on:
--
--   before post_message   nothing went out: the message is sent
--   after it, by mail     the request is repeated, word for word, under the key
--                         of its delivery, which the provider knows for a day
--   else                  nobody can know: the message fails, as "unknown"
create table kith.outbox (
    message_id uuid primary key references public.scheduled_messages on delete cascade,
    due_at timestamptz not null,
    posted_at timestamptz
);
create index on kith.outbox (due_at);
comment on table kith.outbox is 'Messages to be sent.';
comment on column kith.outbox.message_id is 'The message.';
comment on column kith.outbox.due_at is 'When to take it: at its time, when a claim ends, or for the next try.';
comment on column kith.outbox.posted_at is 'When the request to the provider may have gone out, if its answer is not known.';
alter table kith.outbox enable row level security, force row level security;
-- No policy and no grant.

create function kith.follow_scheduled_message() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
    if new.status = 'pending' then
        insert into kith.outbox as o (message_id, due_at) values (new.id, new.scheduled_for)
        on conflict (message_id) do update set due_at = excluded.due_at, posted_at = null;
    elsif new.status <> 'sending' then
        delete from kith.outbox o where o.message_id = new.id;
    end if;
    return null;
end
$$;
comment on function kith.follow_scheduled_message() is 'Trigger: what is pending is in the outbox, what is done is not.';
create trigger follow_inserted after insert on public.scheduled_messages
    for each row execute function kith.follow_scheduled_message();
create trigger follow_updated after update on public.scheduled_messages
    for each row when (old.status <> new.status or old.scheduled_for <> new.scheduled_for)
    execute function kith.follow_scheduled_message();

create function kith.claim_messages(how_many integer, lease interval)
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
        where o.due_at <= pg_catalog.now()
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
comment on function kith.claim_messages(integer, interval) is 'Takes messages that are due, for as long as the lease.';

create function kith.post_message(
    id uuid, attempt integer, new_content jsonb default null, new_subject text default null, provider text default 'resend'
) returns table (delivery_id uuid, content jsonb, subject text)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    message public.scheduled_messages;
    delivery uuid;
begin
    select m.* into message
    from public.scheduled_messages m
    where m.id = post_message.id and m.attempts = post_message.attempt and m.status = 'sending'
    for no key update;
    if not found then
        return;
    end if;
    update kith.outbox o set posted_at = pg_catalog.now() where o.message_id = message.id and o.posted_at is null;
    if found then
        update public.scheduled_messages m
        set content = coalesce(new_content, m.content), subject = coalesce(new_subject, m.subject)
        where m.id = message.id
        returning m.* into message;
    end if;
    if message.channel = 'email' then
        select l.id into delivery
        from public.email_delivery_log l
        where l.scheduled_message_id = message.id
            and l.provider = post_message.provider
            and l.created_at > pg_catalog.now() - interval '23 hours'
        order by l.created_at desc
        limit 1;
        if not found then
            insert into public.email_delivery_log as l (scheduled_message_id, recipient, subject, provider)
            select message.id, coalesce(message.recipient_email, u.email), message.subject, post_message.provider
            from public.users u
            where u.id = message.user_id
            returning l.id into delivery;
        end if;
    end if;
    return query select delivery, message.content, message.subject;
end
$$;
comment on function kith.post_message(uuid, integer, jsonb, text, text) is
    'Says that a message goes out, with these words or those it has.  One row: the delivery, if it is mail, and the words, which are those of the first time.  None if another worker has the message.';

create function kith.finish_message(
    id uuid, attempt integer, outcome text, reason text default null, provider_message_id text default null,
    retry_at timestamptz default null
) returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
begin
    if coalesce(outcome, '') not in ('sent', 'failed', 'pending') then
        raise exception using errcode = 'invalid_parameter_value', message = 'outcome must be sent, failed or pending';
    end if;
    -- A late answer is better than none: it may follow a claim that ended as unknown.
    update public.scheduled_messages m
    set status = outcome,
        sent_at = case outcome when 'sent' then pg_catalog.now() end,
        failure_reason = reason
    where m.id = finish_message.id
        and m.attempts = finish_message.attempt
        and (m.status = 'sending' or m.status = 'failed' and m.failure_reason = 'unknown' and outcome = 'sent');
    if not found then
        return false;
    end if;
    if outcome = 'pending' then
        update kith.outbox o
        set due_at = greatest(o.due_at, retry_at)
        where o.message_id = finish_message.id;
    else
        update public.email_delivery_log l
        set status = outcome, provider_message_id = coalesce(finish_message.provider_message_id, l.provider_message_id)
        where l.id = (
            select k.id
            from public.email_delivery_log k
            where k.scheduled_message_id = finish_message.id
            order by k.created_at desc
            limit 1
        );
    end if;
    return true;
end
$$;
comment on function kith.finish_message(uuid, integer, text, text, text, timestamptz) is
    'What became of an attempt: sent, failed, or pending when nothing went out and it is tried again.  False if another worker has the message.';

-- One message a day and kind, however often it is asked for: the key stays when
-- the user deletes the message, who has then canceled it.
create table kith.message_days (
    user_id uuid not null references public.users on delete cascade,
    day date not null,
    kind text not null,
    primary key (user_id, day, kind)
);
comment on table kith.message_days is 'Which messages a user was given on which day.';
comment on column kith.message_days.user_id is 'Whose day.';
comment on column kith.message_days.day is 'The day, in the user''s time zone.';
comment on column kith.message_days.kind is 'The message_type, after the id of the workspace if it is a workspace''s.';
alter table kith.message_days enable row level security, force row level security;
-- No policy and no grant.

create function kith.schedule_message(
    user_id uuid, message_type text, scheduled_for timestamptz, channel text, subject text default null,
    content jsonb default '{}', workspace_id uuid default null, recipient_email text default null
) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
    zone text := (select u.timezone from public.users u where u.id = schedule_message.user_id);
    made uuid;
    local_day date;
begin
    begin
        local_day := (scheduled_for at time zone coalesce(zone, 'UTC'))::date;
    exception when invalid_parameter_value then
        -- A later tzdata may not know the zone.
        local_day := (scheduled_for at time zone 'UTC')::date;
    end;
    insert into kith.message_days (user_id, day, kind)
    values (schedule_message.user_id, local_day, pg_catalog.concat_ws('/', workspace_id, message_type))
    on conflict do nothing;
    if not found then
        return null;
    end if;
    insert into public.scheduled_messages as m
        (user_id, workspace_id, channel, scheduled_for, message_type, subject, content, recipient_email)
    values (schedule_message.user_id, schedule_message.workspace_id, schedule_message.channel, schedule_message.scheduled_for,
        schedule_message.message_type, schedule_message.subject, coalesce(schedule_message.content, '{}'),
        schedule_message.recipient_email)
    returning m.id into made;
    return made;
end
$$;
comment on function kith.schedule_message(uuid, text, timestamptz, text, text, jsonb, uuid, text) is
    'Schedules a message unless the user has one of its kind on that day; null then.';

grant execute on function kith.claim_messages(integer, interval), kith.post_message(uuid, integer, jsonb, text, text),
    kith.finish_message(uuid, integer, text, text, text, timestamptz),
    kith.schedule_message(uuid, text, timestamptz, text, text, jsonb, uuid, text)
    to kith_worker;

reset role;
