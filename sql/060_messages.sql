-- Messages: the turns of a conversation.  They have no user_id; who owns the
-- conversation owns them.

set local role kith_owner;

create table public.messages (
    id uuid primary key default gen_random_uuid(),
    conversation_id uuid not null references public.conversations on delete cascade,
    sequence_number integer not null,
    role text not null constraint messages_role_known check (role in ('user', 'assistant', 'system')),
    content text not null,
    has_attachments boolean not null default false,
    telegram_message_id bigint,
    metadata jsonb not null default '{}',
    -- Not now(): the messages of one request differ, and sort as they were sent.
    created_at timestamptz not null default clock_timestamp(),
    constraint messages_sequence_number_key unique (conversation_id, sequence_number)
);
create index on public.messages (conversation_id, created_at);  -- newest of a conversation

comment on table public.messages is 'One turn of a conversation.';
comment on column public.messages.id is 'The message.';
comment on column public.messages.conversation_id is 'Conversation it belongs to; never changes.';
comment on column public.messages.sequence_number is '1, 2, 3 ... within the conversation; given by the server.';
comment on column public.messages.role is 'Who speaks: user, assistant or system.';
comment on column public.messages.content is 'What was said.';
comment on column public.messages.has_attachments is 'Whether files belong to it.';
comment on column public.messages.telegram_message_id is 'The same message on Telegram.';
comment on column public.messages.metadata is 'What the app keeps with it, such as tokens and model.';
comment on column public.messages.created_at is 'When it was written.';

alter table public.messages enable row level security, force row level security;
-- The coalesce is for the planner.  It takes a bare comparison for one row in
-- 200, expects the newest 20 to need the whole conversation, and sorts it; of
-- this it expects every second row, and walks the index backwards.
create policy "conversation owner keeps messages" on public.messages to authenticated
    using (coalesce(
        (select auth.uid()) = (select c.user_id from public.conversations c where c.id = conversation_id),
        false
    ))
    with check ((select auth.uid()) = (select c.user_id from public.conversations c where c.id = conversation_id));
-- conversation_id may be sent again by an upsert; the trigger keeps it.
grant select, delete,
    insert (id, conversation_id, role, content, has_attachments, telegram_message_id, metadata, created_at),
    update (conversation_id, role, content, has_attachments, telegram_message_id, metadata)
    on public.messages to authenticated;
-- No grant to anon.

-- The number is read from the messages themselves, under a lock on their
-- conversation: nothing to fall out of step, no gap after a rollback or an
-- upsert that inserted nothing.  Each statement of a volatile function sees
-- what was committed while it waited for the lock, and the rows that the same
-- insert wrote before.  Not security definer: nobody can lock, or learn
-- anything of, a conversation that row-level security hides from them; the
-- policy then refuses the row.
create function kith.number_message() returns trigger
language plpgsql volatile security invoker set search_path = ''
as $$
begin
    perform from public.conversations c where c.id = new.conversation_id for no key update;
    new.sequence_number := 1 + coalesce(
        (
            select m.sequence_number
            from public.messages m
            where m.conversation_id = new.conversation_id
            order by m.sequence_number desc
            limit 1
        ),
        0
    );
    return new;
end
$$;
comment on function kith.number_message() is 'Trigger: gives a message the next number of its conversation.';
create trigger number_message before insert on public.messages
    for each row execute function kith.number_message();

-- Once per statement and conversation.  A loop, not a join: each conversation
-- is found by its key, however many rows the plan was first made for.
create function kith.count_messages() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
    changed_id uuid;
    difference integer;
begin
    for changed_id, difference in
        select r.conversation_id, case tg_op when 'INSERT' then 1 else -1 end * pg_catalog.count(*)
        from changed_rows r
        group by 1
    loop
        update public.conversations c
        set message_count = c.message_count + difference,
            updated_at = pg_catalog.now()
        where c.id = changed_id;
    end loop;
    return null;
end
$$;
comment on function kith.count_messages() is 'Trigger: keeps message_count and updated_at of the conversation.';
create trigger count_inserted after insert on public.messages
    referencing new table as changed_rows
    for each statement execute function kith.count_messages();
create trigger count_deleted after delete on public.messages
    referencing old table as changed_rows
    for each statement execute function kith.count_messages();

create function kith.keep_conversation() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
    raise exception using errcode = 'insufficient_privilege',
        message = 'a message cannot move to another conversation';
end
$$;
comment on function kith.keep_conversation() is 'Trigger: a message stays in its conversation, or numbers would have gaps.';
create trigger keep_conversation before update of conversation_id on public.messages
    for each row when (old.conversation_id is distinct from new.conversation_id)
    execute function kith.keep_conversation();

create function public.append_session_message(session_id uuid, role text, content text, metadata jsonb default '{}')
returns public.messages
language sql volatile security invoker set search_path = ''
as $$
    insert into public.messages (conversation_id, role, content, metadata)
    values (
        append_session_message.session_id,
        append_session_message.role,
        append_session_message.content,
        coalesce(append_session_message.metadata, '{}')
    )
    returning *
$$;
comment on function public.append_session_message(uuid, text, text, jsonb) is
    'Appends a turn to a session and returns it with its number.';
grant execute on function public.append_session_message(uuid, text, text, jsonb) to authenticated;

reset role;
