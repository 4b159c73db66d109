-- Conversations: the boundary of ownership.  Messages belong to whoever owns
-- their conversation.

set local role kith_owner;

-- Every message updates its conversation's count.  Room on the page keeps that
-- update in place, so no indexed column may change with it; and PostgreSQL
-- reads every check anew for each update, so there are few of them.
create table public.conversations (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null default auth.uid() references public.users on delete cascade,
    project_id uuid references public.projects on delete cascade,
    title text,
    system_prompt text,
    session_type text not null default 'conversation',
    channel text not null default 'web',
    initiated_by text not null default 'user'
        constraint conversations_initiated_by_known check (initiated_by in ('user', 'companion')),
    status text not null default 'active'
        constraint conversations_status_known check (status in ('active', 'ended', 'completed', 'archived')),
    summary text,
    summary_count integer not null default 0 constraint conversations_summary_count_positive check (summary_count >= 0),
    mood text,
    topics text[] not null default '{}',
    metadata jsonb not null default '{}',
    message_count integer not null default 0,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
) with (fillfactor = 70);
create index on public.conversations (user_id, started_at desc);  -- policy, foreign key, newest first
create index on public.conversations (user_id, status);
create index on public.conversations (project_id) where project_id is not null;  -- foreign key

comment on table public.conversations is 'A conversation, or a session of one, with its summary.';
comment on column public.conversations.id is 'The conversation.';
comment on column public.conversations.user_id is 'Whose conversation.';
comment on column public.conversations.project_id is 'Project it belongs to; null is none.';
comment on column public.conversations.title is 'What the user calls it.';
comment on column public.conversations.system_prompt is 'Instructions for this conversation only.';
comment on column public.conversations.session_type is 'Kind of session, a word of the app.';
comment on column public.conversations.channel is 'Where it takes place: web, telegram, whatsapp ...';
comment on column public.conversations.initiated_by is 'Who began: user or companion.';
comment on column public.conversations.status is 'active, ended, completed or archived.';
comment on column public.conversations.summary is 'What was said so far, in short.';
comment on column public.conversations.summary_count is 'How many messages the summary covers.';
comment on column public.conversations.mood is 'Mood in plain words taken from the text.';
comment on column public.conversations.topics is 'Topics in plain words taken from the text.';
comment on column public.conversations.metadata is 'What the app keeps with it.';
comment on column public.conversations.message_count is 'How many messages it has; kept by the server.';
comment on column public.conversations.started_at is 'When it began.';
comment on column public.conversations.ended_at is 'When it ended.';
comment on column public.conversations.created_at is 'When the row was made.';
comment on column public.conversations.updated_at is 'When the row last changed or a message came or went.';

alter table public.conversations enable row level security, force row level security;
create policy "owner keeps own conversations" on public.conversations to authenticated
    using (user_id = (select auth.uid()))
    with check (
        user_id = (select auth.uid())
        and (
            project_id is null
            or (select auth.uid()) = (
                select w.owner_id
                from public.projects p
                join public.workspaces w on w.id = p.workspace_id
                where p.id = project_id
            )
        )
    );
grant select, delete,
    insert (id, user_id, project_id, title, system_prompt, session_type, channel, initiated_by, status, summary,
        summary_count, mood, topics, metadata, started_at, ended_at, created_at, updated_at),
    update (user_id, project_id, title, system_prompt, session_type, channel, initiated_by, status, summary,
        summary_count, mood, topics, metadata, started_at, ended_at, updated_at)
    on public.conversations to authenticated;
-- No grant to anon.

-- The update that counts messages sets updated_at itself.
create trigger touch before update on public.conversations
    for each row when (old.message_count = new.message_count)
    execute function kith.touch();

-- Daily reuse.  The bare argument names are those clients send; inside they
-- are written with the function's name.
create function public.get_or_create_chat_session(
    user_id uuid default auth.uid(),
    project_id uuid default null,
    session_type text default 'thinking_partner',
    scope text default 'daily'
) returns public.conversations
language plpgsql volatile security invoker set search_path = ''
as $$
#variable_conflict use_column
declare
    session public.conversations;
    zone text;
    today date;
begin
    if row_security_active('public.conversations')
        and get_or_create_chat_session.user_id is distinct from (select auth.uid())
    then
        raise exception using errcode = 'insufficient_privilege',
            message = 'the session of another user cannot be opened';
    end if;
    if coalesce(scope, '') not in ('daily', 'conversation') then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'scope must be daily or conversation';
    end if;

    if scope = 'daily' then
        -- Two calls at once: the second waits here, then finds the first one's session.
        select u.timezone into zone
        from public.users u
        where u.id = get_or_create_chat_session.user_id
        for no key update;
        begin
            today := (pg_catalog.now() at time zone coalesce(zone, 'UTC'))::date;
        exception when invalid_parameter_value then
            -- A later tzdata may not know the zone.
            zone := 'UTC';
            today := (pg_catalog.now() at time zone zone)::date;
        end;
        select c.* into session
        from public.conversations c
        where c.user_id = get_or_create_chat_session.user_id
            and c.project_id is not distinct from get_or_create_chat_session.project_id
            and c.session_type = get_or_create_chat_session.session_type
            and c.status = 'active'
            and c.started_at >= today::timestamp at time zone coalesce(zone, 'UTC')
            and c.started_at < (today + 1)::timestamp at time zone coalesce(zone, 'UTC')
        order by c.started_at desc
        limit 1;
        if found then
            return session;
        end if;
    end if;

    insert into public.conversations as c (user_id, project_id, session_type)
    values (
        get_or_create_chat_session.user_id,
        get_or_create_chat_session.project_id,
        get_or_create_chat_session.session_type
    )
    returning c.* into session;
    return session;
end
$$;
comment on function public.get_or_create_chat_session(uuid, uuid, text, text) is
    'Today''s active session of a user, project and type, made if there is none.  Scope conversation always makes one.';
grant execute on function public.get_or_create_chat_session(uuid, uuid, text, text) to authenticated;

reset role;
