-- What a plan allows of profiles, documents and spoken messages.  Only growth is
-- refused: who comes to a smaller plan keeps all they have, to read and to
-- change.  Memories retire instead (070_memories.sql), files have a quota of
-- their own (294_storage_quota.sql).

set local role kith_owner;

-- Whoever is above the limit is told what it is, and which plan has room.
create function kith.refuse_growth(limit_name text, allowed bigint, wanted bigint) returns void
language plpgsql stable set search_path = ''
as $$
begin
    raise exception using errcode = 'PT403',
        message = pg_catalog.format('the plan allows %s %s', allowed, case limit_name
            when 'profiles' then case allowed when 1 then 'profile' else 'profiles' end
            when 'documents' then case allowed when 1 then 'document' else 'documents' end
            when 'voice_messages_per_month' then
                case allowed when 1 then 'voice message a month' else 'voice messages a month' end
            else limit_name
        end),
        detail = 'PlanLimitReached',
        hint = coalesce(
            (
                select case
                    when p.limits ? limit_name then pg_catalog.format('The plan %s allows %s.', p.id, p.limits ->> limit_name)
                    else pg_catalog.format('The plan %s has no limit.', p.id)
                end
                from public.plans p
                where coalesce((p.limits ->> limit_name)::bigint >= wanted, true)
                order by (p.limits ->> limit_name)::bigint nulls last, p.id
                limit 1
            ),
            case limit_name
                when 'voice_messages_per_month' then 'The next month begins anew.'
                else 'Delete what is not needed.'
            end
        );
end
$$;
comment on function kith.refuse_growth(text, bigint, bigint) is
    'Raises PT403: what the plan allows, and as the hint the smallest plan that allows what was wanted.';

-- Once per statement, after it: the rows of one insert count together.  The
-- user's row is the lock: of two writers the second counts what the first has
-- left.  Its name is that of the table.
create function kith.hold_limit() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    writer uuid;
    allowed bigint;
    there bigint;
begin
    for writer in select distinct n.user_id from new_rows n order by 1 loop
        allowed := kith.plan_limit(writer, tg_table_name);
        continue when allowed is null;
        perform from public.users u where u.id = writer for no key update;
        if tg_table_name = 'profiles' then
            select pg_catalog.count(*) into there from public.profiles p where p.user_id = writer and p.deleted_at is null;
        else
            select pg_catalog.count(*) into there from public.documents d where d.user_id = writer;
        end if;
        if there > allowed then
            perform kith.refuse_growth(tg_table_name, allowed, there);
        end if;
    end loop;
    return null;
end
$$;
comment on function kith.hold_limit() is 'Trigger: refuses rows above the limit of the plan that has the name of the table.';

-- For users, whose rights row-level security bounds; the service may give
-- somebody more, and what is loaded from a dump is there already.
create trigger hold_limit after insert on public.profiles
    referencing new table as new_rows
    for each statement when (pg_catalog.row_security_active('public.profiles'))
    execute function kith.hold_limit();
create trigger hold_limit after insert on public.documents
    referencing new table as new_rows
    for each statement when (pg_catalog.row_security_active('public.documents'))
    execute function kith.hold_limit();

-- What was spoken costs, and is counted when it begins, whoever began it: a
-- message that is deleted has been spoken all the same.  One that failed has not.
create table kith.spoken_messages (
    id bigint generated always as identity primary key,
    user_id uuid not null references public.users on delete cascade,
    voice_message_id uuid not null,
    began_at timestamptz not null default now()
);
create index on kith.spoken_messages (user_id, began_at);  -- foreign key, and the month
create index on kith.spoken_messages (voice_message_id);
comment on table kith.spoken_messages is 'Each time that a voice message was spoken, for the limit of a month.';
comment on column kith.spoken_messages.id is 'The time.';
comment on column kith.spoken_messages.user_id is 'Whose message.';
comment on column kith.spoken_messages.voice_message_id is 'The message; no foreign key, since it counts when it is gone.';
comment on column kith.spoken_messages.began_at is 'When it began.';
alter table kith.spoken_messages enable row level security, force row level security;
-- No policy and no grant.

create function kith.count_spoken() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    month timestamptz := pg_catalog.date_trunc('month', pg_catalog.now(), 'UTC');
    allowed bigint;
    spoken bigint;
begin
    if new.status = 'failed' then
        delete from kith.spoken_messages s
        where s.id = (select pg_catalog.max(x.id) from kith.spoken_messages x where x.voice_message_id = new.id);
        return null;
    end if;
    perform from public.users u where u.id = new.user_id for no key update;
    -- Earlier months count for nothing any more.
    delete from kith.spoken_messages s where s.user_id = new.user_id and s.began_at < month;
    insert into kith.spoken_messages (user_id, voice_message_id) values (new.user_id, new.id);
    allowed := kith.plan_limit(new.user_id, 'voice_messages_per_month');
    select pg_catalog.count(*) into spoken from kith.spoken_messages s where s.user_id = new.user_id;
    if spoken > allowed then
        perform kith.refuse_growth('voice_messages_per_month', allowed, spoken);
    end if;
    return null;
end
$$;
comment on function kith.count_spoken() is 'Trigger: counts a message that begins to be spoken, and refuses it above the limit of the month.';
create trigger count_spoken after update of status on public.voice_messages
    for each row when (old.status <> new.status and new.status = 'generating')
    execute function kith.count_spoken();
create trigger count_failed after update of status on public.voice_messages
    for each row when (old.status = 'generating' and new.status = 'failed')
    execute function kith.count_spoken();

-- As 040_workspaces.sql has it, but for three days that are given: the news of a
-- renewal come after the period has ended, and what nobody renews the worker
-- ends then (314_reconcile.sql).
create or replace function kith.plan_limit(user_id uuid, name text) returns bigint
language sql stable security definer set search_path = ''
as $$
    select case when bool_and(p.limits ? plan_limit.name) then max((p.limits ->> plan_limit.name)::bigint) end
    from public.plans p
    where p.id = coalesce((select s.plan from public.subscriptions s where s.user_id = plan_limit.user_id), 'free')
        or p.id = 'pro' and exists (
            select from public.workspaces w
            where w.owner_id = plan_limit.user_id
                and w.subscription_status = 'pro'
                and (w.subscription_expires_at is null or w.subscription_expires_at > pg_catalog.now() - interval '3 days')
        )
$$;

reset role;
