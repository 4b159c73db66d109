-- Updates of Telegram: what a user writes to the bot.  kith-webhooks has checked
-- the secret; everything else happens here, in one transaction.

set local role kith_owner;

-- An edit names its message, and a repeated one is found.
create index messages_telegram_message_id_idx on public.messages (conversation_id, telegram_message_id)
    where telegram_message_id is not null;

-- What the bot is to say: a job, since nothing goes out while an update is
-- taken.  Only who knows the bot's name can write to it, but that is everybody:
-- an unknown chat is told once an hour how to link.
create function kith.tell_telegram(chat_id bigint, notice text, user_id uuid default null) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if notice <> 'how_to_link' or kith.hit(array['telegram how_to_link ' || chat_id], array[1], array[3600]) = 0 then
        perform kith.enqueue(
            'telegram_notice',
            pg_catalog.jsonb_build_object('chat_id', chat_id, 'notice', notice),
            user_id => tell_telegram.user_id
        );
    end if;
end
$$;
comment on function kith.tell_telegram(bigint, text, uuid) is
    'Queues what the bot is to say: linked, used, expired, unknown, unlinked, text_only, or, once an hour, how_to_link.';

-- Takes the link away, and what waits to be sent by it.
create function kith.unlink_telegram(user_id uuid, why text) returns void
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
begin
    update public.users u
    set telegram_user_id = null, telegram_chat_id = null, telegram_username = null, telegram_linked_at = null
    where u.id = unlink_telegram.user_id;
    update public.scheduled_messages m
    set status = 'canceled', failure_reason = unlink_telegram.why
    where m.user_id = unlink_telegram.user_id and m.channel = 'telegram' and m.status = 'pending';
end
$$;
comment on function kith.unlink_telegram(uuid, text) is
    'Unlinks a user''s Telegram account and cancels what was to be sent to it.';

-- Whom an account is linked to, with the user's row locked: what they write is
-- taken one at a time.
create function kith.telegram_owner(telegram_user_id bigint) returns public.users
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    owner public.users;
begin
    select u.* into owner
    from public.users u
    where u.telegram_user_id = telegram_owner.telegram_user_id
    for no key update;
    return owner;
end
$$;
comment on function kith.telegram_owner(bigint) is 'The user whom a Telegram account is linked to, locked; null when there is none.';

-- Today's conversation of the channel, by the user's day.
create function kith.telegram_conversation(owner public.users) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    zone text := owner.timezone;
    today date;
    conversation uuid;
begin
    begin
        today := (pg_catalog.now() at time zone zone)::date;
    exception when invalid_parameter_value then
        -- A later tzdata may not know the zone.
        zone := 'UTC';
        today := (pg_catalog.now() at time zone zone)::date;
    end;
    select c.id into conversation
    from public.conversations c
    where c.user_id = owner.id
        and c.channel = 'telegram'
        and c.status = 'active'
        and c.started_at >= today::timestamp at time zone zone
        and c.started_at < (today + 1)::timestamp at time zone zone
    order by c.started_at desc
    limit 1;
    if not found then
        insert into public.conversations as c (user_id, channel) values (owner.id, 'telegram') returning c.id into conversation;
    end if;
    return conversation;
end
$$;
comment on function kith.telegram_conversation(public.users) is
    'Today''s active conversation on Telegram, made if there is none.  The user''s row is locked.';

-- A text, or what became of one: Telegram sends an edit with the whole text.
-- Two deliveries may overtake each other, so an edit of a text that is not here
-- yet is that text, and the first version, when it comes, is stale.  Of an older
-- one it is an edit of what the user has deleted here.
create function kith.take_telegram_text(owner public.users, message jsonb, out outcome text, out detail text)
language plpgsql volatile set search_path = ''
as $$
declare
    sent_id bigint := (message ->> 'message_id')::bigint;
    edited_at bigint := (message ->> 'edit_date')::bigint;
    known public.messages;
    conversation uuid;
begin
    select m.* into known
    from public.conversations c
    join public.messages m on m.conversation_id = c.id
    where c.user_id = owner.id and c.channel = 'telegram' and m.telegram_message_id = sent_id and m.role = 'user'
        -- Another account that was linked before numbers its messages too.
        and m.created_at >= owner.telegram_linked_at
    order by m.created_at desc
    limit 1;
    if found then
        if edited_at is null or edited_at < coalesce((known.metadata ->> 'telegram_edited_at')::bigint, 0) then
            outcome := 'stale';
        else
            update public.messages m
            set content = message ->> 'text',
                metadata = m.metadata || pg_catalog.jsonb_build_object('telegram_edited_at', edited_at)
            where m.id = known.id;
            outcome := 'applied';
            detail := 'edited';
        end if;
        return;
    elsif edited_at is not null and (message ->> 'date')::bigint < extract(epoch from pg_catalog.now()) - 600 then
        outcome := 'ignored';
        detail := 'edit of a message that is not here';
        return;
    end if;
    conversation := kith.telegram_conversation(owner);
    insert into public.messages as m (conversation_id, role, content, telegram_message_id, metadata)
    values (
        conversation, 'user', message ->> 'text', sent_id,
        pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('telegram_edited_at', edited_at))
    )
    returning m.* into known;
    perform kith.enqueue(
        'reply',
        pg_catalog.jsonb_build_object(
            'conversation_id', conversation, 'message_id', known.id, 'channel', 'telegram', 'chat_id', owner.telegram_chat_id
        ),
        key => 'reply ' || known.id,
        user_id => owner.id
    );
    outcome := 'applied';
    detail := 'message';
end
$$;
comment on function kith.take_telegram_text(public.users, jsonb, out text, out text) is
    'Keeps a text of a linked user and queues the reply; an edit changes the text that is kept.';

create function kith.telegram_event(e kith.webhook_events, settings jsonb) returns kith.webhook_events
language plpgsql volatile set search_path = ''
as $$
declare
    what text := (
        select k from pg_catalog.unnest(array['message', 'edited_message', 'my_chat_member']) k where e.payload ? k limit 1
    );
    content jsonb := e.payload -> what;
    chat bigint := (content #>> '{chat,id}')::bigint;
    sender bigint := (content #>> '{from,id}')::bigint;
    -- Of a message that was edited there is nothing to begin or to end.
    command text[] := pg_catalog.regexp_match(e.payload #>> '{message,text}', '^/(start|stop)(?:@\w+)?(?:\s+(\S+))?\s*$');
    owner public.users;
begin
    e.event_type := what;
    e.occurred_at := kith.event_time(coalesce(content ->> 'edit_date', content ->> 'date'));
    e.outcome := 'ignored';
    if content #>> '{chat,type}' is distinct from 'private' or coalesce((content #>> '{from,is_bot}')::boolean, false) then
        e.detail := 'not a private chat';
        return e;
    elsif command[1] = 'start' and command[2] ~ '^[A-Za-z0-9_-]{1,64}$' then
        select r.outcome, r.user_id into e.detail, e.user_id
        from kith.redeem_telegram_link_token(command[2], sender, chat, content #>> '{from,username}') r;
        e.outcome := case e.detail when 'linked' then 'applied' else 'ignored' end;
        perform kith.tell_telegram(chat, e.detail, e.user_id);
        return e;
    end if;

    owner := kith.telegram_owner(sender);
    e.user_id := owner.id;
    if what = 'my_chat_member' then
        if content #>> '{new_chat_member,status}' = 'kicked' and owner.id is not null then
            perform kith.unlink_telegram(owner.id, 'the bot was blocked');
            e.outcome := 'applied';
            e.detail := 'unlinked';
        end if;
    elsif owner.id is null then
        perform kith.tell_telegram(chat, 'how_to_link');
        e.outcome := 'unmatched';
        e.detail := 'not linked';
    elsif command[1] = 'stop' then
        perform kith.unlink_telegram(owner.id, 'Telegram was unlinked');
        perform kith.tell_telegram(chat, 'unlinked', owner.id);
        e.outcome := 'applied';
        e.detail := 'unlinked';
    elsif command[1] = 'start' then
        e.detail := 'linked already';
    elsif pg_catalog.jsonb_typeof(content -> 'text') = 'string' then
        select t.outcome, t.detail into e.outcome, e.detail from kith.take_telegram_text(owner, content) t;
    else
        e.detail := 'no text';
        perform kith.tell_telegram(chat, 'text_only', owner.id) where what = 'message';
    end if;
    return e;
end
$$;
comment on function kith.telegram_event(kith.webhook_events, jsonb) is
    'What an update of Telegram changes: links and unlinks accounts, keeps texts and edits.  See 300_webhook_events.sql.';

create function kith.apply_telegram(
    event_id text, event_type text, occurred_at text, payload text, body_sha256 bytea default null
) returns text
language sql volatile security definer set search_path = ''
as $$
    select kith.apply_event('telegram', event_id, event_type, occurred_at, payload, body_sha256)
$$;
comment on function kith.apply_telegram(text, text, text, text, bytea) is
    'Applies an update of Telegram, once; what became of it.';
grant execute on function kith.apply_telegram(text, text, text, text, bytea) to kith_webhooks;

reset role;
