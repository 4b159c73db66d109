-- Goal: what a user writes to the bot links, unlinks and is kept, whatever comes twice, late or from a stranger.
\ir ../lib/prelude.psql
select no_plan();

create sequence test.updates start 731000001;
-- An update as Telegram sends it, from an account whose number needs more than 32 bits.
create function test.update(what text, content jsonb, sender bigint default 5200000001) returns text language sql as $$
    select kith.apply_telegram(
        nextval('test.updates')::text, what, null,
        jsonb_build_object('update_id', 1, what, jsonb_build_object('date', floor(extract(epoch from now())),
            'from', jsonb_build_object('id', sender, 'is_bot', false, 'username', 'a_user'),
            'chat', jsonb_build_object('id', sender, 'type', 'private')) || content)::text,
        sha256('x'))
$$;
create function test.says(said text, message_id bigint default nextval('test.updates'), sender bigint default 5200000001) returns text language sql as $$
    select test.update('message', jsonb_build_object('message_id', message_id, 'text', said), sender)
$$;
create function test.edits(said text, message_id bigint, edit_date bigint, sent interval default '0') returns text language sql as $$
    select test.update('edited_message', jsonb_build_object('message_id', message_id, 'text', said, 'edit_date', edit_date,
        'date', floor(extract(epoch from now() - sent))))
$$;
create function test.last() returns text language sql as $$
    select concat_ws(' ', event_type, outcome, detail, (select who from unnest(array['owner', 'stranger']) who where test.id(who) = user_id))
    from kith.webhook_events where provider = 'telegram' order by id desc limit 1
$$;
create function test.token(who text) returns text language sql as $$
    select test.rows(who, 'select public.create_telegram_link_token() as token') -> 0 ->> 'token'
$$;
create function test.link(who text) returns text language sql as $$
    select concat_ws(' ', telegram_user_id, telegram_chat_id, telegram_username, case when telegram_linked_at = now() then 'now' end)
    from public.users where id = test.id(who)
$$;
create function test.notices(sender bigint) returns text language sql as $$
    select coalesce(string_agg(payload ->> 'notice', ' ' order by id), 'none') from kith.jobs
    where kind = 'telegram_notice' and (payload ->> 'chat_id')::bigint = sender
$$;
create function test.texts() returns text language sql as $$
    select coalesce(string_agg(m.sequence_number || ' ' || m.content, ', ' order by m.sequence_number), 'none')
    from public.messages m join public.conversations c on c.id = m.conversation_id where c.user_id = test.id('owner') and c.channel = 'telegram'
$$;

-- Who is not linked.
select is(test.says('hello'), 'unmatched', 'who is not linked is nobody');
select is(test.last(), 'message unmatched not linked', 'and the ledger says so');
select is(test.notices(5200000001), 'how_to_link', 'they are told how to link');
select is(test.says('hello?'), 'unmatched', 'who goes on');
select is(test.notices(5200000001), 'how_to_link', 'is told once an hour');
select is(test.says('hello', sender => 5200000002), 'unmatched', 'another chat');
select is(test.notices(5200000002), 'how_to_link', 'is told for itself');
update kith.rate_limits set ends_at = now() - interval '1 second' where key like 'telegram how_to_link %';
select is(test.says('hello!'), 'unmatched', 'after the hour');
select is(test.notices(5200000001), 'how_to_link how_to_link', 'once more');
select is(test.says('/start'), 'unmatched', 'a start without a token links nothing');
select is(test.says('/start bad token'), 'unmatched', 'nor does one with two');
select is(test.says('/start ' || repeat('a', 65)), 'unmatched', 'or with one that Telegram does not pass on');
select is(test.says('/stop'), 'unmatched', 'and there is nothing to stop');
select is(test.says('/start Zk3'), 'ignored', 'a token that nobody made');
select is(test.last(), 'message ignored unknown', 'is unknown');
select is(test.notices(5200000001), 'how_to_link how_to_link unknown', 'and that is what they are told');

-- Linking.
create table test.tokens as select test.token('owner') as token;
select is(test.says('/start ' || token), 'applied', 'a token links') from test.tokens;
select is(test.last(), 'message applied linked owner', 'who made it');
select is(test.link('owner'), '5200000001 5200000001 a_user now', 'to the account, whose numbers are long');
select is(test.says('/start ' || token), 'ignored', 'it works once') from test.tokens;
select is(test.last(), 'message ignored used owner', 'and is used then');
select is(test.says('/start'), 'ignored', 'a start without a token leaves the link as it is');
select is(test.last(), 'message ignored linked already owner', 'and says so');
update test.tokens set token = test.token('stranger');
update public.telegram_link_tokens set expires_at = now() where user_id = test.id('stranger');
select is(test.says('/start ' || token), 'ignored', 'an old token moves no account') from test.tokens;
select is(test.last(), 'message ignored expired stranger', 'since it is expired');
select is(test.link('owner'), '5200000001 5200000001 a_user now', 'the link stays');

-- Texts.
select is(test.says('Good morning', 12), 'applied', 'a text of a linked user is taken');
select is(test.last(), 'message applied message owner', 'as theirs');
select is((select payload from kith.webhook_events where provider = 'telegram' order by id desc limit 1), null, 'the ledger keeps none of it');
select is((select jsonb_agg(to_jsonb(c) - '{id,created_at,updated_at,started_at}'::text[] || jsonb_build_object('now', c.started_at = now()))
        from public.conversations c where user_id = test.id('owner')),
    '[{"mood": null, "title": null, "now": true, "status": "active", "topics": [], "channel": "telegram", "summary": null, "user_id": "0a0a0a0a-0000-4000-8000-00000000000a", "ended_at": null, "metadata": {}, "project_id": null, "initiated_by": "user", "session_type": "conversation", "message_count": 1, "summary_count": 0, "system_prompt": null}]',
    'into a conversation of the channel');
select is(test.rows('owner', 'select role, content, telegram_message_id, metadata from public.messages'),
    '[{"role": "user", "content": "Good morning", "metadata": {}, "telegram_message_id": 12}]', 'which the owner reads');
select is((select j.payload || jsonb_build_object('user', j.user_id = test.id('owner')) from kith.jobs j where kind = 'reply'),
    (select jsonb_build_object('conversation_id', m.conversation_id, 'message_id', m.id, 'channel', 'telegram', 'chat_id', 5200000001, 'user', true)
        from public.messages m where telegram_message_id = 12), 'and a reply is asked for, without the words');
select is(test.says('/help me', 13), 'applied', 'other commands are words');
select is(test.says('How are you?', 14), 'applied', 'and so on');
select is(test.texts(), '1 Good morning, 2 /help me, 3 How are you?', 'the conversation of the day goes on');
update public.conversations set started_at = now() - interval '2 days' where user_id = test.id('owner');
select is(test.says('A new day', 15), 'applied', 'on another day');
select is((select count(*) from public.conversations where user_id = test.id('owner') and channel = 'telegram'), 2::bigint, 'a new one begins');
update public.conversations set status = 'ended' where user_id = test.id('owner');
select is(test.says('Again', 16), 'applied', 'and after the end of one');
select is((select count(*) from public.conversations where user_id = test.id('owner') and channel = 'telegram'), 3::bigint, 'another');
alter table public.users disable trigger check_timezone;
update public.users set timezone = 'Kith/Gone' where id = test.id('owner');
alter table public.users enable trigger check_timezone;
select is(test.says('Where am I?', 17), 'applied', 'a zone that is no longer known is UTC');
select is(kith.apply_telegram('731', 'message', null, '{"message": {"message_id": 18, "date": 1, "text": "twice", "chat": {"id": 5200000001, "type": "private"}, "from": {"id": 5200000001}}}', null), 'applied', 'an update');
select is(kith.apply_telegram('731', 'message', null, '{"message": {"message_id": 18, "date": 1, "text": "twice", "chat": {"id": 5200000001, "type": "private"}, "from": {"id": 5200000001}}}', null), 'duplicate', 'is taken once');
select is(kith.apply_telegram('732', 'message', null, '{"message": {"message_id": 18, "date": 1, "text": "twice", "chat": {"id": 5200000001, "type": "private"}, "from": {"id": 5200000001}}}', null), 'stale', 'a message too, whatever the update is called');
select is((select count(*) from public.messages where content = 'twice'), 1::bigint, 'so it is there once');

-- Edits.
select is(test.edits('Good evening', 12, 1790000010, '3 days'), 'applied', 'an edit is taken');
select is(test.rows('owner', 'select content, metadata from public.messages where telegram_message_id = 12'),
    '[{"content": "Good evening", "metadata": {"telegram_edited_at": 1790000010}}]', 'in place of the text');
select is(test.edits('Good afternoon', 12, 1790000009), 'stale', 'an older edit, which comes later, is not');
select is(test.edits('Good night', 12, 1790000010), 'applied', 'one of the same second is');
select is((select count(*) from kith.jobs where kind = 'reply' and payload ->> 'message_id' = (select id::text from public.messages where telegram_message_id = 12)), 1::bigint,
    'nobody answers twice');
select is(test.edits('First the edit', 30, 1790000011), 'applied', 'an edit that overtakes its message is the message');
select is(test.says('Then the text', 30), 'stale', 'which is stale then');
select is(test.rows('owner', 'select content from public.messages where telegram_message_id = 30'), '[{"content": "First the edit"}]', 'and changes nothing');
delete from public.messages where telegram_message_id = 12;
select is(test.edits('Back again', 12, 1790000020, '3 days'), 'ignored', 'what was deleted here does not come back by an edit');
select is(test.edits('/stop', 14, 1790000020), 'applied', 'an edit is no command');
select is(test.link('owner'), '5200000001 5200000001 a_user now', 'the link stays');

-- What is no text, or not private.
select is(test.update('message', '{"message_id": 40, "photo": [{"file_id": "x"}]}'), 'ignored', 'what is no text is not kept');
select is(test.last(), 'message ignored no text owner', 'as the ledger says');
select ok(test.notices(5200000001) like '% text_only', 'and the bot is to say so');
select is(test.update('edited_message', '{"message_id": 40, "caption": "x", "edit_date": 1}'), 'ignored', 'an edit of it neither');
select ok(test.notices(5200000001) not like '%text_only text_only', 'of which nothing is said');
select is(test.update('message', '{"message_id": 41, "text": 5}'), 'ignored', 'a text that is none');
select is(test.update('message', '{"message_id": 41, "text": "x", "chat": {"id": -100, "type": "group"}}'), 'ignored', 'a group is not listened to');
select is(test.update('message', '{"message_id": 41, "text": "x", "from": {"id": 5200000001, "is_bot": true}}'), 'ignored', 'nor is a bot');
select is(test.update('channel_post', '{"message_id": 41, "text": "x"}'), 'ignored', 'nor a channel');
select is(kith.apply_telegram('740', null, null, '{"update_id": 740}', null), 'ignored', 'nor nothing at all');
select is(kith.apply_telegram('741', 'message', null, '{"message": {"message_id": "x", "text": "x", "date": 1, "chat": {"id": 5200000001, "type": "private"}, "from": {"id": 5200000001}}}', null), 'failed', 'what is no update fails');
select is((select concat_ws(' ', outcome, detail, payload) from kith.webhook_events where provider = 'telegram' and event_id = '741'), 'failed 22P02', 'in the ledger, without its words');
select is((select count(*) from public.messages where telegram_message_id in (40, 41)), 0::bigint, 'nothing of all that is kept');

-- Another account of the same user numbers its messages from one, too.
update test.tokens set token = test.token('owner');
select is(test.says('/start ' || token, sender => 5200000007), 'applied', 'the user links another account') from test.tokens;
update public.users set telegram_linked_at = clock_timestamp() where id = test.id('owner');
select is(test.says('From elsewhere', 14, 5200000007), 'applied', 'whose numbers begin anew');
select is(test.says('Who is that?', 50), 'unmatched', 'the first one is nobody''s then');

-- The end.
insert into public.scheduled_messages (user_id, channel, scheduled_for, status)
select test.id(who), channel, now() + interval '1 day', status
from (values ('owner', 'telegram', 'pending'), ('owner', 'email', 'pending'), ('owner', 'telegram', 'sent'), ('stranger', 'telegram', 'pending')) v (who, channel, status);
select is(test.says('/stop@kith_bot', sender => 5200000007), 'applied', 'stop ends it');
select is(test.link('owner'), '', 'nothing is linked');
select is(test.notices(5200000007), 'linked unlinked', 'which the bot confirms');
select is((select jsonb_object_agg((m.user_id = test.id('owner'))::text || ' ' || m.channel || ' ' || coalesce(m.failure_reason, 'none'), m.status) from public.scheduled_messages m
    where m.user_id in (test.id('owner'), test.id('stranger'))),
    '{"true email none": "pending", "true telegram none": "sent", "false telegram none": "pending", "true telegram Telegram was unlinked": "canceled"}',
    'what waited to be sent there is canceled, and nothing else');
update test.tokens set token = test.token('stranger');
select is(test.says('/start@kith_bot ' || token, sender => 5200000007), 'applied', 'a start may name the bot') from test.tokens;
select is(test.update('my_chat_member', '{"new_chat_member": {"status": "member"}}', 5200000007), 'ignored', 'who comes back is as before');
select is(test.link('stranger'), '5200000007 5200000007 a_user now', 'that is linked');
select is(test.update('my_chat_member', '{"new_chat_member": {"status": "kicked"}}', 5200000007), 'applied', 'who blocks the bot');
select is(test.last(), 'my_chat_member applied unlinked stranger', 'is unlinked');
select is(test.link('stranger'), '', 'for good');
select is((select failure_reason from public.scheduled_messages where user_id = test.id('stranger')), 'the bot was blocked', 'and gets nothing more');
select is(test.notices(5200000007), 'linked unlinked linked', 'nor is anything said');
select is(test.update('my_chat_member', '{"new_chat_member": {"status": "kicked"}}', 5200000007), 'ignored', 'once is enough');
select is(test.update('my_chat_member', '{"new_chat_member": {"status": "kicked"}, "chat": {"id": -1, "type": "supergroup"}}', 5200000007), 'ignored', 'leaving a group is nothing');

delete from auth.users where id = test.id('owner');
select is((select count(*) from kith.jobs where user_id = test.id('owner')), 0::bigint, 'with an account goes what was to be said to it');

select is_empty($$
    select who from unnest(array['anon', 'authenticated', 'service_role', 'kith_api', 'kith_service', 'kith_auth', 'kith_storage', 'kith_worker']) who
    where has_function_privilege(who, 'kith.apply_telegram(text,text,text,text,bytea)', 'execute')
$$, 'updates are the webhook program''s alone');

select finish();
rollback;
